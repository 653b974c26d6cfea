/* The way into a queue, as `otelml.export.BatchQueue` has it. */

#include "native.h"

static PyObject *queue_put_parts; /* in Python */

/* Appends parts to a queue where only this home's wait, and not yet enough to tell; 0 where Python is to do it. */
static int append_parts(PyObject *queue, PyObject *home, PyObject *parts)
{
    PyObject *waiting = PyObject_GetAttr(queue, str__parts), *items = PyObject_GetAttr(queue, str__items);
    PyObject *batch = PyObject_GetAttr(queue, str_batch), *here = NULL;
    int done = 0;
    if (waiting != NULL && items != NULL && batch != NULL && PyDict_GET_SIZE(waiting) == 1 &&
        PyObject_Size(items) == 0 && is_true(queue, str__closed) == 0 && is_none(queue, str__thread) == 0)
        here = Py_XNewRef(PyDict_GetItemWithError(waiting, home));
    if (here != NULL && 1 + PyObject_Size(here) < PyLong_AsSsize_t(batch)) {
        PyObject *nothing = PyObject_CallMethodOneArg(here, str_append, parts);
        Py_XDECREF(nothing);
        done = nothing != NULL;
    }
    Py_XDECREF(waiting);
    Py_XDECREF(items);
    Py_XDECREF(batch);
    Py_XDECREF(here);
    return PyErr_Occurred() ? -1 : done;
}

static PyObject *put_parts(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    int done = n == 2 ? append_parts(self, args[1], args[0]) : 0;
    if (done < 0) return NULL;
    if (done == 0) return in_python(queue_put_parts, self, args, n, NULL);
    Py_RETURN_TRUE;
}

static PyMethodDef methods[] = {
    {"put_parts", (PyCFunction)(void (*)(void))put_parts, METH_FASTCALL,
     "put_parts($self, parts, home, /)\n--\n\n"
     "Queue what ``home.write`` makes a message of when it is exported; False when it was dropped."},
    {NULL},
};

PyObject *use_queue(PyObject *module, PyObject *type)
{
    return replace_one(type, methods, &queue_put_parts);
}

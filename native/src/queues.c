/* The way into a queue, as `otelml.export.BatchQueue` has it. */

#include "native.h"

static PyObject *queue_put_parts; /* in Python */

/* Returns a whole number that a queue has; -1 where it can't be told. */
static Py_ssize_t number_of(PyObject *queue, PyObject *name)
{
    PyObject *found = attribute(queue, name);
    Py_ssize_t number = found == NULL ? -1 : PyLong_AsSsize_t(found);
    Py_XDECREF(found);
    return number;
}

/* Whether one more may wait without anybody being told: there is room, and no batch, or the worker knows of it. */
static int has_room(PyObject *queue, PyObject *items, PyObject *here)
{
    Py_ssize_t waiting = PyObject_Size(items) + PyObject_Size(here) + 1;
    waiting += number_of(queue, str__more_put) - number_of(queue, str__more_taken);
    if (PyErr_Occurred() || waiting > number_of(queue, str_capacity)) return 0;
    return waiting < number_of(queue, str_batch) || is_true(queue, str__woken) == 1;
}

/* Appends parts to a queue where only this home's wait, and nobody is to be told; 0 where Python is to do it. */
static int append_parts(PyObject *queue, PyObject *home, PyObject *parts)
{
    PyObject *waiting = attribute(queue, str__parts), *items = attribute(queue, str__items), *here = NULL;
    int done = 0;
    if (waiting != NULL && items != NULL && PyDict_GET_SIZE(waiting) == 1 && is_true(queue, str__closed) == 0 &&
        is_none(queue, str__thread) == 0)
        here = Py_XNewRef(PyDict_GetItemWithError(waiting, home));
    if (here != NULL && has_room(queue, items, here)) {
        PyObject *nothing = PyObject_CallMethodOneArg(here, str_append, parts);
        Py_XDECREF(nothing);
        done = nothing != NULL;
    }
    Py_XDECREF(waiting);
    Py_XDECREF(items);
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

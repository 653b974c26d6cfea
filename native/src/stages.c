/* Stages: `begin` and the end of a block, as `otelml.stage.Stage` has them. */

#include "native.h"

FIELDS_TYPE(Stage, STAGE_FIELDS, StageFields, stage_new, "What a stage holds.")

/* Whether it is a stage of a plain prediction that is open, and whose spans are our own. */
static int is_common(Stage *self)
{
    if (!is_plain(self->prediction) || self->other != Py_None) return 0;
    Prediction *p = (Prediction *)self->prediction;
    if (!is_zero(p->ended) || p->other != Py_None || p->way == NULL || p->stages == NULL) return 0;
    return (PyObject *)Py_TYPE(p->way) == own.direct && PyList_CheckExact(p->stages);
}

static int time_and_attach(Stage *self, Prediction *p, PyObject *current)
{
    if (set(&self->started, clock_of(own.stage_names, str_perf_counter_ns)) < 0) return -1;
    if (current == NULL) return 0; /* it is not sampled */
    if (set(&self->span_id, PyObject_CallMethodNoArgs(p->way, str_span_id)) < 0) return -1;
    return set(&self->_token, attached(current, (PyObject *)self, (PyObject *)p));
}

/* Begins a common stage now; 1: done, 0: nothing was done and Python is to do it, -1: it failed. */
static int begin(Stage *self)
{
    if (!is_common(self)) return 0;
    Prediction *p = (Prediction *)self->prediction;
    PyObject *current = NULL;
    if (p->sampled == Py_True) {
        if ((current = current_context()) == NULL) return -1;
        if (PyDict_GetItemWithError(current, own.span_key) != (PyObject *)p) { /* a span of the application's, say */
            Py_DECREF(current);
            return PyErr_Occurred() ? -1 : 0;
        }
    } else if (p->sampled != Py_False) {
        return 0;
    }
    int done = time_and_attach(self, p, current);
    Py_XDECREF(current);
    return done < 0 || PyList_Append(p->stages, (PyObject *)self) < 0 ? -1 : 1;
}

static PyObject *stage_begin(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    int done = n == 0 && names == NULL ? begin((Stage *)self) : 0;
    if (done == 0) return in_python(own.stage_begin, self, args, n, names);
    if (done < 0 && guarded("stage.begin") < 0) return NULL;
    return Py_NewRef(self);
}

static PyObject *stage_enter(PyObject *self, PyObject *nothing)
{
    return stage_begin(self, NULL, 0, NULL);
}

static PyObject *stage_exit(PyObject *object, PyObject *const *args, Py_ssize_t n)
{
    Stage *self = (Stage *)object;
    if (n != 3 || args[1] != Py_None || !is_zero(self->ended) || is_zero(self->started))
        return in_python(own.stage_exit, object, args, n, NULL);
    if (set(&self->ended, clock_of(own.stage_names, str_perf_counter_ns)) < 0) return NULL;
    if (go_back(&self->_token) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"begin", (PyCFunction)(void (*)(void))stage_begin, METH_FASTCALL | METH_KEYWORDS,
     "begin($self, /, start=None, *, attach=True)\n--\n\n"
     "Start the stage at ``start`` (``perf_counter_ns``; now by default) and make its span current."},
    {"__enter__", stage_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))stage_exit, METH_FASTCALL,
     "__exit__($self, kind, error, tb, /)\n--\n\nEnd the stage; ``error`` is the exception that ended it."},
    {NULL},
};

PyObject *use_stage(PyObject *module, PyObject *args)
{
    PyObject *type, *names;
    if (!PyArg_ParseTuple(args, "O!O!", &PyType_Type, &type, &PyDict_Type, &names)) return NULL;
    if (set(&own.stage_begin, PyObject_GetAttrString(type, "begin")) < 0 ||
        set(&own.stage_exit, PyObject_GetAttrString(type, "__exit__")) < 0 || replace_methods(type, methods) < 0)
        return NULL;
    set(&own.stage_type, Py_NewRef(type));
    set(&own.stage_names, Py_NewRef(names));
    Py_RETURN_NONE;
}

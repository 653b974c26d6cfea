/* What stands for scikit-learn's methods: `serve`, as `otelml.integrations._sklearn_calls` has it. */

#include "native.h"

/* Whether the application makes the call, and not a library or an estimator of its own; -1 where it can't be told. */
static int is_served(void)
{
    PyFrameObject *caller = (PyFrameObject *)PyObject_CallOneArg(own.frame_above, own.one);
    if (caller == NULL || !PyFrame_Check(caller)) {
        Py_XDECREF(caller);
        return -1;
    }
    PyObject *names = PyFrame_GetGlobals(caller);
    PyCodeObject *code = PyFrame_GetCode(caller);
    PyObject *module = PyDict_GetItemWithError(names, str___name__);
    int served = module != NULL && PyUnicode_Check(module) && PySequence_Contains(own.own_methods, code->co_name) == 0;
    for (Py_ssize_t i = 0; served && i < PyTuple_GET_SIZE(own.libraries); i++)
        served = PyUnicode_Tailmatch(module, PyTuple_GET_ITEM(own.libraries, i), 0, PY_SSIZE_T_MAX, -1) == 0;
    Py_DECREF(code);
    Py_DECREF(names);
    Py_DECREF(caller);
    return PyErr_Occurred() ? -1 : served;
}

/* Whether a context holds nothing that is to be looked at: no prediction, no batch, nothing that keeps us quiet. */
static int is_free(PyObject *around)
{
    for (Py_ssize_t i = 0; PyDict_GET_SIZE(around) > 0 && i < PyTuple_GET_SIZE(own.elsewhere); i++) {
        int found = PyDict_Contains(around, PyTuple_GET_ITEM(own.elsewhere, i));
        if (found != 0) return found < 0 ? -1 : 0;
    }
    return 1;
}

/* Returns what `final_estimator` returns: without it where the model is no pipeline and wraps nothing. */
static PyObject *final_of(PyObject *model, PyObject *method)
{
    PyObject *args[] = {(PyObject *)Py_TYPE(model), method}, *both[] = {model, method};
    PyObject *plan = PyObject_Vectorcall(own.plan, args, 2, NULL), *name = NULL, *held = NULL, *found = NULL;
    if (plan != NULL) name = attribute(plan, str_attribute);
    if (name != NULL) held = PyObject_GetAttr(model, str___dict__);
    if (held != NULL && PyDict_CheckExact(held)) {
        PyObject *inner = PyDict_GetItemWithError(held, name);
        if ((inner == NULL && !PyErr_Occurred()) || inner == Py_None) found = PyTuple_Pack(3, model, plan, Py_False);
    }
    Py_XDECREF(plan);
    Py_XDECREF(name);
    Py_XDECREF(held);
    if (found != NULL) return found;
    return forget() < 0 ? NULL : PyObject_Vectorcall(own.final_estimator, both, 2, NULL);
}

/* Begins a common call, and finds the estimator behind it; 0 where Python is to look closer. */
static int begin(PyObject *active, PyObject *model, PyObject *method, PyObject **call, PyObject **final)
{
    int common = is_served();
    if (common <= 0) return common;
    PyObject *around = current_context();
    if (around == NULL) return -1;
    common = is_free(around);
    PyObject *found = NULL;
    if (common == 1) {
        found = final_of(model, method);
        /* whether these calls are measured now, by the recorder that the plan knows */
        common = found == NULL ? -1 : is_same(active, PyTuple_GET_ITEM(found, 1), str_recorder);
    }
    if (common == 1) {
        *final = Py_NewRef(PyTuple_GET_ITEM(found, 0));
        PyObject *waiting = PyTuple_GET_ITEM(found, 2) == Py_True ? *final : Py_None;
        *call = served_begun(PyTuple_GET_ITEM(found, 1), around, waiting);
        if (*call == NULL) {
            Py_CLEAR(*final);
            common = -1;
        }
    }
    Py_XDECREF(found);
    Py_DECREF(around);
    return common;
}

static PyObject *ask(PyObject *original, PyObject *model, PyObject *args, PyObject *kwargs)
{
    PyObject *with[8] = {model};
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    if (PyDict_GET_SIZE(kwargs) == 0 && n < 8) {
        for (Py_ssize_t i = 0; i < n; i++) with[i + 1] = PyTuple_GET_ITEM(args, i);
        return PyObject_Vectorcall(original, with, n + 1, NULL);
    }
    PyObject *all = PyTuple_New(n + 1);
    if (all == NULL) return NULL;
    PyTuple_SET_ITEM(all, 0, Py_NewRef(model));
    for (Py_ssize_t i = 0; i < n; i++) PyTuple_SET_ITEM(all, i + 1, Py_NewRef(PyTuple_GET_ITEM(args, i)));
    PyObject *result = PyObject_Call(original, all, kwargs);
    Py_DECREF(all);
    return result;
}

/* Ends a call with the error that is set, which goes on. */
static void fail(PyObject *call)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL) PyException_SetTraceback(error, trace);
    PyObject *nothing = PyObject_CallMethodOneArg(call, str_finish, error);
    if (nothing == NULL) {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(trace);
        return;
    }
    Py_DECREF(nothing);
    PyErr_Restore(type, error, trace);
}

/* Runs the original method within a call, which it ends. */
static PyObject *run(PyObject *call, PyObject *final, PyObject *const *with)
{
    PyObject *args = with[3], *kwargs = with[4], *token = PyContextVar_Set(own.outer, call);
    if (token == NULL) return NULL;
    PyObject *result = ask(with[0], with[2], args, kwargs);
    if (result == NULL) fail(call);
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    if (PyContextVar_Reset(own.outer, token) < 0) Py_CLEAR(result);
    else PyErr_Restore(type, error, trace);
    Py_DECREF(token);
    if (result == NULL || call == own.silent) return result;
    PyObject *inputs = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : PyDict_GetItemString(kwargs, "X");
    PyObject *given[] = {result, inputs == NULL ? Py_None : inputs, final}, *done = served_done(call, given, 3);
    if (done == NULL) Py_CLEAR(result);
    Py_XDECREF(done);
    return result;
}

static PyObject *serve(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    if (n != 5 || !PyTuple_CheckExact(args[3]) || !PyDict_CheckExact(args[4])) {
        PyErr_SetString(PyExc_TypeError, "serve() takes a function, its name, a model, arguments and named ones");
        return NULL;
    }
    PyObject *active = PyDict_GetItemWithError(own.running, str_active), *call = NULL, *final = NULL;
    int measured = active == NULL || active == Py_None ? 0 : is_true(own.switch_, str_on);
    if (measured == 0 && !PyErr_Occurred()) return ask(args[0], args[2], args[3], args[4]);
    Py_XINCREF(active);
    int common = measured < 0 ? -1 : begin(active, args[2], args[1], &call, &final);
    Py_XDECREF(active);
    if (common == 0) return PyObject_Vectorcall(own.serve, args, n, NULL);
    if (common < 0) {
        if (guarded("sklearn.begin") < 0) return NULL;
        call = Py_NewRef(own.silent);
    }
    PyObject *result = run(call, final, args);
    Py_DECREF(call);
    Py_XDECREF(final);
    return result;
}

static PyMethodDef serve_function = {
    "serve", (PyCFunction)(void (*)(void))serve, METH_FASTCALL,
    "Run a call that no measured call surrounds; return exactly what ``original`` returns, raise what it raises."};

/* Returns `serve`, to be put in the place of the one given. */
PyObject *use_calls(PyObject *module, PyObject *args)
{
    PyObject **places[] = {&own.running, &own.switch_, &own.outer,     &own.silent,      &own.plan,
                           &own.final_estimator, &own.serve, &own.libraries, &own.own_methods, &own.elsewhere};
    PyObject *given[10], *frame_above = PySys_GetObject("_getframe");
    if (!PyArg_ParseTuple(args, "O!OO!OOOOO!OO!", &PyDict_Type, &given[0], &given[1], &PyContextVar_Type, &given[2],
                          &given[3], &given[4], &given[5], &given[6], &PyTuple_Type, &given[7], &given[8],
                          &PyTuple_Type, &given[9]))
        return NULL;
    if (frame_above == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "this Python does not show frames");
        return NULL;
    }
    set(&own.frame_above, Py_NewRef(frame_above));
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) set(places[i], Py_NewRef(given[i]));
    return PyCFunction_New(&serve_function, NULL);
}

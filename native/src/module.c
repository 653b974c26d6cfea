/* The module `otelml_native`: what its parts share, and how otelml hands over what they need. */

#include "native.h"

#define CONTRACT 5 /* what `otelml._native` must expect, to use it */

struct Own own;

#define DEFINE_NAME(name) PyObject *str_##name;
NAMES(DEFINE_NAME)

/* Where the slots of classes are, by the class's version, which changes with whatever is set on it; -1: it is none. */
#define KNOWN 512
static struct {
    PyObject *name;
    Py_ssize_t offset;
    unsigned int version;
} known[KNOWN];

static size_t place_of(unsigned int version, PyObject *name)
{
    return (version ^ (size_t)name >> 4) % KNOWN;
}

/* Returns the offset of a slot that an object has; -1 where the attribute is no slot. */
static Py_ssize_t offset_of(PyObject *owner, PyObject *name)
{
    PyObject *type = (PyObject *)Py_TYPE(owner), *found = PyObject_GetAttr(type, name);
    Py_ssize_t offset = -1;
    if (found == NULL) {
        PyErr_Clear();
    } else if (Py_TYPE(found) == &PyMemberDescr_Type) {
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type == T_OBJECT_EX && PyType_IsSubtype(Py_TYPE(owner), PyDescr_TYPE(found)))
            offset = member->offset;
    }
    Py_XDECREF(found);
    return offset;
}

PyObject *attribute(PyObject *owner, PyObject *name)
{
    unsigned int version = Py_TYPE(owner)->tp_version_tag;
    size_t place = place_of(version, name);
    if (version == 0 || known[place].version != version || known[place].name != name) {
        Py_ssize_t offset = offset_of(owner, name); /* which may give the class its version */
        version = Py_TYPE(owner)->tp_version_tag;
        place = place_of(version, name);
        known[place].name = name;
        known[place].offset = offset;
        known[place].version = version;
    }
    Py_ssize_t offset = known[place].offset;
    PyObject *value = offset < 0 ? NULL : *(PyObject **)((char *)owner + offset);
    return value == NULL ? PyObject_GetAttr(owner, name) : Py_NewRef(value);
}

/* Calls a function that an object holds. */
PyObject *answer_of(PyObject *owner, PyObject *name)
{
    PyObject *function = attribute(owner, name), *found = function == NULL ? NULL : PyObject_CallNoArgs(function);
    Py_XDECREF(function);
    return found;
}

/* Asks the module's own name, as its functions do: a test may set it. */
PyObject *clock_of(PyObject *names, PyObject *name)
{
    PyObject *clock = PyDict_GetItemWithError(names, name);
    if (clock == NULL && !PyErr_Occurred()) PyErr_SetObject(PyExc_NameError, name);
    return clock == NULL ? NULL : PyObject_CallNoArgs(clock);
}

/* Has a fault of ours counted, and not raised, as `_guard.failed` does it; -1 where it is no `Exception`. */
int guarded(const char *site)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL) PyException_SetTraceback(error, trace);
    PyObject *done = PyObject_CallFunction(own.failed, "sO", site, error);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Calls the method that a part of ours stands in for. */
PyObject *in_python(PyObject *method, PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    PyObject *with[8] = {self};
    Py_ssize_t all = n + (names == NULL ? 0 : PyTuple_GET_SIZE(names));
    if (all > 7) {
        PyErr_SetString(PyExc_TypeError, "too many arguments");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < all; i++) with[i + 1] = args[i];
    return PyObject_Vectorcall(method, with, n + 1, names);
}

int replace_methods(PyObject *type, PyMethodDef *methods)
{
    for (; methods->ml_name != NULL; methods++) {
        PyObject *method = PyDescr_NewMethod((PyTypeObject *)type, methods);
        if (method == NULL) return -1;
        int done = PyObject_SetAttrString(type, methods->ml_name, method);
        Py_DECREF(method);
        if (done < 0) return -1;
    }
    return 0;
}

/* Puts the only method of these in the place of the one in Python, which is kept. */
PyObject *replace_one(PyObject *type, PyMethodDef *methods, PyObject **in_python)
{
    if (!PyType_Check(type)) {
        PyErr_Format(PyExc_TypeError, "what is to get %s() is no type", methods->ml_name);
        return NULL;
    }
    if (set(in_python, PyObject_GetAttrString(type, methods->ml_name)) < 0) return NULL;
    if (replace_methods(type, methods) < 0) return NULL;
    Py_RETURN_NONE;
}

/* What is kept here is the objects of one interpreter; another one in the same process goes without. */
static PyInterpreterState *home;

static PyObject *is_home(PyObject *module, PyObject *nothing)
{
    return PyBool_FromLong(PyInterpreterState_Get() == home);
}

static PyMethodDef functions[] = {
    {"is_home", is_home, METH_NOARGS, "Return whether this is the interpreter that it works for."},
    {"use_stage", use_stage, METH_VARARGS, NULL},
    {"use_prediction", use_prediction, METH_VARARGS, NULL},
    {"use_direct", use_direct, METH_VARARGS, NULL},
    {"use_recorder", use_recorder, METH_O, NULL},
    {"use_served", use_served, METH_VARARGS, NULL},
    {"use_calls", use_calls, METH_VARARGS, NULL},
    {"use_ids", use_ids, METH_O, NULL},
    {"use_sentences", use_sentences, METH_O, NULL},
    {"use_columns", use_columns, METH_O, NULL},
    {"use_facts", use_facts, METH_VARARGS, NULL},
    {"use_measurements", use_measurements, METH_VARARGS, NULL},
    {"use_message", use_message, METH_VARARGS, NULL},
    {"use_queue", use_queue, METH_O, NULL},
    {"use_requests", use_requests, METH_VARARGS, NULL},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "otelml_native",
    .m_doc = "The accelerator of otelml: the common path of predictions, in C.",
    .m_size = -1,
    .m_methods = functions,
};

#define INTERN(name)                                                                                                  \
    if ((str_##name = PyUnicode_InternFromString(#name)) == NULL) return -1;

static int prepare(PyObject *module)
{
    NAMES(INTERN)
    home = PyInterpreterState_Get();
    if (set(&own.zero, PyLong_FromLong(0)) < 0 || set(&own.one, PyLong_FromLong(1)) < 0) return -1;
    if (set(&own.empty, PyTuple_New(0)) < 0 || set(&own.low, PyLong_FromUnsignedLongLong(UINT64_MAX)) < 0) return -1;
    set(&own.flags, Py_NewRef(own.zero));
    PyTypeObject *types[] = {&StageFieldsType, &PredictionFieldsType, &ServedFieldsType, &ServerSpanFieldsType,
                             &RequestFieldsType, &ResultFieldsType, &LastType};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (PyModule_AddType(module, types[i]) < 0) return -1;
    if (PyModule_AddFunctions(module, context_functions) < 0) return -1;
    if (PyModule_AddFunctions(module, encoding_functions) < 0) return -1;
    if (PyModule_AddFunctions(module, column_functions) < 0) return -1;
    return PyModule_AddIntConstant(module, "CONTRACT", CONTRACT);
}

PyMODINIT_FUNC PyInit_otelml_native(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && prepare(module) < 0) Py_CLEAR(module);
    return module;
}

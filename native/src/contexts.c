/* Contexts of OpenTelemetry: read, made and made current as `otelml._sdk` does it. */

#include "native.h"

PyObject *current_context(void)
{
    PyObject *found;
    if (PyContextVar_Get(own.variable, NULL, &found) < 0) return NULL;
    if (found != NULL && PyDict_Check(found)) return found;
    if (found == NULL) PyErr_SetObject(PyExc_LookupError, own.variable);
    else PyErr_SetString(PyExc_TypeError, "the current context is no dict");
    Py_XDECREF(found);
    return NULL;
}

PyObject *context_with(PyObject *context, PyObject *span, PyObject *key, PyObject *value)
{
    PyTypeObject *type = (PyTypeObject *)own.context;
    PyObject *made = type->tp_new(type, own.empty, NULL);
    if (made == NULL) return NULL;
    if (PyDict_Update(made, context) < 0 || PyDict_SetItem(made, own.span_key, span) < 0 ||
        PyDict_SetItem(made, key, value) < 0)
        Py_CLEAR(made);
    return made;
}

/* Makes a span and its prediction current; returns the token to go back with. */
PyObject *attached(PyObject *context, PyObject *span, PyObject *prediction)
{
    PyObject *inside = context_with(context, span, own.prediction_key, prediction);
    if (inside == NULL) return NULL;
    PyObject *token = PyContextVar_Set(own.variable, inside);
    Py_DECREF(inside);
    return token;
}

/* Goes back to the context from before; does nothing where the token is of another thread or task. */
static int detached(PyObject *token)
{
    if (PyContextVar_Reset(own.variable, token) == 0) return 0;
    if (!PyErr_ExceptionMatches(PyExc_ValueError) && !PyErr_ExceptionMatches(PyExc_RuntimeError)) return -1;
    PyErr_Clear();
    return 0;
}

/* The same for the token that a stage or prediction holds, which holds none afterwards. */
int go_back(PyObject **place)
{
    PyObject *token = *place;
    if (token == Py_None) return 0;
    *place = Py_NewRef(Py_None);
    int done = detached(token);
    Py_DECREF(token);
    return done;
}

/* Returns what `context.request_id_in` returns. */
PyObject *request_id_in(PyObject *context)
{
    PyObject *found = PyDict_GetItemWithError(context, own.request_key);
    if (found != NULL && PyUnicode_CheckExact(found)) return Py_NewRef(found);
    if (PyErr_Occurred() || PyContextVar_Get(own.beside, NULL, &found) < 0) return NULL;
    return found == NULL ? Py_NewRef(Py_None) : found;
}

static PyObject *with_span(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    if ((n != 4 && n != 6) || !PyDict_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "with_span() takes a context, a span, and one or two keys, each with a value");
        return NULL;
    }
    PyObject *made = context_with(args[0], args[1], args[2], args[3]);
    if (made != NULL && n == 6 && PyDict_SetItem(made, args[4], args[5]) < 0) Py_CLEAR(made);
    return made;
}

static PyObject *detach(PyObject *module, PyObject *token)
{
    if (detached(token) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *use_context(PyObject *module, PyObject *args)
{
    PyObject *variable, *kind, *key;
    if (!PyArg_ParseTuple(args, "O!O!U", &PyContextVar_Type, &variable, &PyType_Type, &kind, &key)) return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)kind, &PyDict_Type)) {
        PyErr_SetString(PyExc_TypeError, "use_context() takes contexts that are dicts");
        return NULL;
    }
    set(&own.variable, Py_NewRef(variable));
    set(&own.context, Py_NewRef(kind));
    set(&own.span_key, Py_NewRef(key));
    Py_RETURN_NONE;
}

/* Request ids -------------------------------------------------------------------------------------------------- */

#define ID_BITS 128

static PyObject *draw_bits, *id_bits;

/* Returns a fresh request id, as `context.new_id` does. */
static PyObject *new_id(PyObject *module, PyObject *nothing)
{
    char bytes[ID_BITS / 8];
    PyObject *number = PyObject_CallOneArg(draw_bits, id_bits), *id = NULL;
    if (number != NULL && put_unsigned(bytes, number, sizeof bytes) == 0) id = PyUnicode_New(2 * sizeof bytes, 127);
    for (size_t i = 0; id != NULL && i < sizeof bytes; i++) {
        PyUnicode_1BYTE_DATA(id)[2 * i] = Py_hexdigits[(bytes[i] >> 4) & 15];
        PyUnicode_1BYTE_DATA(id)[2 * i + 1] = Py_hexdigits[bytes[i] & 15];
    }
    Py_XDECREF(number);
    return id;
}

static PyMethodDef new_id_function = {
    "new_id", new_id, METH_NOARGS, "new_id($module, /)\n--\n\nReturn a fresh id: 128 random bits as 32 hex digits."};

/* Returns `new_id`, which draws its bits from the generator given. */
PyObject *use_ids(PyObject *module, PyObject *random)
{
    if (set(&draw_bits, PyObject_GetAttrString(random, "getrandbits")) < 0) return NULL;
    if (set(&id_bits, PyLong_FromLong(ID_BITS)) < 0) return NULL;
    return PyCFunction_New(&new_id_function, NULL);
}

PyMethodDef context_functions[] = {
    {"with_span", (PyCFunction)(void (*)(void))with_span, METH_FASTCALL, NULL},
    {"detach", detach, METH_O, NULL},
    {"use_context", use_context, METH_VARARGS, NULL},
    {NULL},
};

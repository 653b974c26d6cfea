/* What is known of ended predictions of one shape as columns, as `otelml.facts` gathers it. */

#include "native.h"

FIELDS_TYPE(Result, RESULT_FIELDS, ResultFields, result_new, "What a result holds.")

#define MOST_KEYS 64
#define COMMON 10 /* of a `Key`, all but the label */
#define ID_BYTES 16

static struct {
    PyObject *in_python, *key, *nothing;
} facts;

/* A `Key`, and the class whose label it has. */
typedef struct {
    PyObject *common[COMMON], *classes, *label;
} Key;

/* Numbers of all, of which either each is a float or none is there. */
typedef struct {
    PyObject *bytes;
    Py_ssize_t found;
    int mixed;
} Reals;

typedef struct {
    Key keys[MOST_KEYS];
    Py_ssize_t n, count;
    PyObject *which, *numbers, *requests;
    Reals confidence, values;
    int counted, streams, special, mixed;
} Gathered;

/* Whether both are equal and of one type, for what attributes are made of; -1 where it can't be told. */
static int is_same_fact(PyObject *one, PyObject *other)
{
    if (one == other) return 1;
    if (Py_TYPE(one) != Py_TYPE(other)) return 0;
    if (!PyUnicode_CheckExact(one) && !PyLong_CheckExact(one) && !PyTuple_CheckExact(one)) return 0;
    return PyObject_RichCompareBool(one, other, Py_EQ);
}

static int has_common(const Key *key, PyObject *const *common)
{
    int same = 1;
    for (size_t i = 0; same == 1 && i < COMMON; i++) same = is_same_fact(key->common[i], common[i]);
    return same;
}

static int is_plain_class(PyObject *classes)
{
    return classes == Py_None || PyUnicode_CheckExact(classes) || PyLong_CheckExact(classes) ||
           PyBool_Check(classes) || PyFloat_CheckExact(classes);
}

/* Whether a class has the label of a key: not where that was folded, as each that is folded counts. */
static int has_label(const Key *key, PyObject *classes, PyObject *label)
{
    if (label != NULL) return key->label == label ? 1 : is_same_fact(key->label, label);
    if (key->label != Py_None && is_text(key->label, "other")) return 0;
    return is_same_fact(key->classes, classes);
}

static Py_ssize_t find_key(const Gathered *all, PyObject *const *common, PyObject *classes, PyObject *label)
{
    for (Py_ssize_t i = 0; i < all->count; i++) {
        int same = has_label(&all->keys[i], classes, label);
        if (same == 1) same = has_common(&all->keys[i], common);
        if (same != 0) return same < 0 ? -2 : i;
    }
    return -1;
}

static Py_ssize_t add_key(Gathered *all, PyObject *const *common, PyObject *classes, PyObject *label)
{
    if (all->count == MOST_KEYS) return -2;
    Key *key = &all->keys[all->count];
    for (size_t i = 0; i < COMMON; i++) key->common[i] = Py_NewRef(common[i]);
    key->classes = Py_NewRef(classes);
    key->label = Py_NewRef(label);
    return all->count++;
}

/* Returns the number of a prediction's key; -2 where it can't be told, or there are too many. */
static Py_ssize_t key_of(Gathered *all, const Prediction *p, Result *result)
{
    PyObject *common[COMMON] = {p->series,           p->variant,          p->operation,    p->framework,
                                result->rows,        result->input_shape, result->input_dtype, result->missing,
                                result->shape,       result->dtype};
    for (size_t i = 0; i < COMMON; i++)
        if (common[i] == NULL) return -2;
    if (result->_label == Py_None) {
        Py_ssize_t found = find_key(all, common, result->classes, NULL);
        if (found != -1) return found;
    }
    for (size_t i = 0; i < COMMON; i++) Py_INCREF(common[i]); /* what is called may change them */
    PyObject *classes = Py_NewRef(result->classes), *label = PyObject_GetAttr((PyObject *)result, str_label);
    Py_ssize_t found = label == NULL ? -2 : find_key(all, common, classes, label);
    if (found == -1) found = add_key(all, common, classes, label);
    for (size_t i = 0; i < COMMON; i++) Py_DECREF(common[i]);
    Py_DECREF(classes);
    Py_XDECREF(label);
    return found;
}

static int put_real(Reals *into, PyObject *number, Py_ssize_t i)
{
    if (number == Py_None || number == NULL || !PyFloat_CheckExact(number)) {
        into->mixed |= number != Py_None;
        return 0;
    }
    double value = PyFloat_AS_DOUBLE(number);
    memcpy(PyBytes_AS_STRING(into->bytes) + i * sizeof value, &value, sizeof value);
    into->found++;
    return 1;
}

/* Writes the number of a prediction, made where it has none yet. */
static int put_number(Gathered *all, Prediction *p, Py_ssize_t i)
{
    if (p->number == NULL) return -1;
    PyObject *number = is_zero(p->number) ? PyObject_CallMethod((PyObject *)p, "numbered", NULL) : Py_NewRef(p->number);
    char *at = PyBytes_AS_STRING(all->numbers) + i * ID_BYTES;
    int done = number == NULL ? -1 : put_unsigned(at, number, ID_BYTES);
    Py_XDECREF(number);
    return done;
}

/* Writes the id of a prediction's request: all have one of the same length, or none has. */
static int put_request(Gathered *all, PyObject *request, Py_ssize_t i)
{
    int is_there = request != Py_None && request != NULL && PyUnicode_CheckExact(request);
    Py_ssize_t length = is_there ? PyUnicode_GET_LENGTH(request) : 0;
    if (request != Py_None && (!is_there || !PyUnicode_IS_ASCII(request))) all->mixed = 1;
    if (i == 0) {
        if (all->mixed || length > 1 << 16) return -1;
        if ((all->requests = PyBytes_FromStringAndSize(NULL, length * all->n)) == NULL) return -1;
    }
    if (length * all->n != PyBytes_GET_SIZE(all->requests)) all->mixed = 1;
    if (!all->mixed && length > 0)
        memcpy(PyBytes_AS_STRING(all->requests) + i * length, PyUnicode_1BYTE_DATA(request), length);
    return 0;
}

static int put_result(Gathered *all, Prediction *p, Result *result, Py_ssize_t i)
{
    PyObject *rest[] = {result->classes,       result->business_value, result->input_payload,
                        result->output_payload, result->_label,        p->given_id,           p->first_item};
    for (size_t j = 0; j < sizeof rest / sizeof *rest; j++)
        if (rest[j] == NULL) return -1;
    all->counted &= is_plain_class(result->classes) && result->business_value == Py_None;
    all->special |= p->given_id != Py_None || result->business_value != Py_None || result->input_payload != Py_None ||
                    result->output_payload != Py_None;
    all->streams |= !is_zero(p->first_item);
    put_real(&all->confidence, result->confidence, i);
    put_real(&all->values, result->values, i);
    long long key = key_of(all, p, result);
    if (key < 0) return -1;
    memcpy(PyBytes_AS_STRING(all->which) + i * sizeof key, &key, sizeof key);
    return 0;
}

/* Returns what is known of a prediction, as its `outcome()` does. */
static PyObject *outcome_of(PyObject *prediction)
{
    Prediction *p = (Prediction *)prediction;
    int is_read = (PyObject *)Py_TYPE(prediction) == own.served_type && ((Served *)prediction)->seen == Py_None;
    int is_alone = p->_result == Py_None && p->_observed != NULL;
    if ((is_read || is_plain(prediction)) && is_alone) return Py_NewRef(p->_observed);
    return PyObject_CallMethod(prediction, "outcome", NULL);
}

static int put_prediction(Gathered *all, PyObject *prediction, Py_ssize_t i)
{
    if (!PyObject_TypeCheck(prediction, &PredictionFieldsType)) return -1;
    Prediction *p = (Prediction *)prediction;
    PyObject *result = outcome_of(prediction);
    if (result == Py_None) Py_SETREF(result, Py_NewRef(facts.nothing));
    int done = result != NULL && Py_TYPE(result) == Py_TYPE(facts.nothing) ? 0 : -1;
    if (done == 0) done = put_result(all, p, (Result *)result, i);
    if (done == 0) done = put_number(all, p, i);
    if (done == 0) done = put_request(all, p->request_id, i);
    Py_XDECREF(result);
    return done;
}

static PyObject *keys_of(const Gathered *all)
{
    PyObject *made = PyList_New(all->count);
    for (Py_ssize_t i = 0; made != NULL && i < all->count; i++) {
        PyObject *fields[COMMON + 1];
        memcpy(fields, all->keys[i].common, sizeof all->keys[i].common);
        fields[COMMON] = all->keys[i].label;
        PyObject *key = PyObject_Vectorcall(facts.key, fields, COMMON + 1, NULL);
        if (key == NULL) Py_CLEAR(made);
        else PyList_SET_ITEM(made, i, key);
    }
    return made;
}

/* Returns a new reference to numbers of all, to no bytes where there are none, to None where some have them. */
static PyObject *column_of(const Reals *reals, Py_ssize_t n)
{
    if (reals->mixed || (reals->found != 0 && reals->found != n)) return Py_NewRef(Py_None);
    return reals->found == n ? Py_NewRef(reals->bytes) : PyBytes_FromStringAndSize(NULL, 0);
}

static PyObject *columns_of(const Gathered *all)
{
    PyObject *numbers = all->special ? Py_None : all->numbers, *requests = all->mixed ? Py_None : all->requests;
    return Py_BuildValue("NONNOONN", keys_of(all), all->which, PyBool_FromLong(all->counted),
                         PyBool_FromLong(all->streams), numbers, requests, column_of(&all->confidence, all->n),
                         column_of(&all->values, all->n));
}

static int prepare(Gathered *all)
{
    PyObject **made[] = {&all->which, &all->confidence.bytes, &all->values.bytes, &all->numbers};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if ((*made[i] = PyBytes_FromStringAndSize(NULL, all->n * (i < 3 ? 8 : ID_BYTES))) == NULL) return -1;
    return 0;
}

static void release(Gathered *all)
{
    for (Py_ssize_t i = 0; i < all->count; i++) {
        for (size_t j = 0; j < COMMON; j++) Py_DECREF(all->keys[i].common[j]);
        Py_DECREF(all->keys[i].classes);
        Py_DECREF(all->keys[i].label);
    }
    PyObject *made[] = {all->which, all->confidence.bytes, all->values.bytes, all->numbers, all->requests};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) Py_XDECREF(made[i]);
}

static PyObject *gathered(PyObject *module, PyObject *predictions)
{
    Gathered all = {.n = PyList_CheckExact(predictions) ? PyList_GET_SIZE(predictions) : 0, .counted = 1};
    int done = all.n > 0 ? prepare(&all) : -1;
    for (Py_ssize_t i = 0; done == 0 && i < all.n; i++)
        done = i < PyList_GET_SIZE(predictions) ? put_prediction(&all, PyList_GET_ITEM(predictions, i), i) : -1;
    PyObject *made = done == 0 ? columns_of(&all) : NULL;
    release(&all);
    if (made != NULL) return made;
    return forget() < 0 ? NULL : PyObject_CallOneArg(facts.in_python, predictions);
}

static PyMethodDef gathered_function = {
    "gathered", gathered, METH_O,
    "gathered($module, predictions, /)\n--\n\nReturn what is known of predictions of one shape, as columns."};

/* Returns `gathered`, which leaves what is unusual to the one given. */
PyObject *use_facts(PyObject *module, PyObject *args)
{
    PyObject *in_python, *key, *nothing;
    if (!PyArg_ParseTuple(args, "OOO", &in_python, &key, &nothing)) return NULL;
    if (!PyObject_TypeCheck(nothing, &ResultFieldsType)) {
        PyErr_SetString(PyExc_TypeError, "use_facts() takes a result of ours");
        return NULL;
    }
    set(&facts.in_python, Py_NewRef(in_python));
    set(&facts.key, Py_NewRef(key));
    set(&facts.nothing, Py_NewRef(nothing));
    return PyCFunction_New(&gathered_function, NULL);
}

/* Measurements that are taken together, as `otelml._sdk_metrics.PlainBatch` counts them. */

#include "native.h"

#define MOST_BOUNDS 64
#define EXACT (1LL << 53) /* whole numbers up to it are the same as a double */

static PyObject *tallied_in_python, *spread_in_python, *summed_in_python;

/* Reads a number; 0 where it is none that a double is equal to. */
static int read_number(PyObject *given, double *number)
{
    if (PyFloat_CheckExact(given)) {
        *number = PyFloat_AS_DOUBLE(given);
        return 1;
    }
    int overflow = 0;
    long long whole = PyLong_CheckExact(given) ? PyLong_AsLongLongAndOverflow(given, &overflow) : EXACT + 1;
    *number = (double)whole;
    return !overflow && whole <= EXACT && whole >= -EXACT;
}

static int read_bounds(PyObject *given, double *bounds)
{
    if (PyTuple_GET_SIZE(given) > MOST_BOUNDS) return 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given); i++)
        if (!read_number(PyTuple_GET_ITEM(given, i), &bounds[i])) return 0;
    return 1;
}

/* Counts each value's bucket, and notes the last one in each that has an id; 0 where one is no plain number. */
static int count(PyObject *values, PyObject *ids, PyObject *given, Py_ssize_t *counts, Py_ssize_t *last)
{
    double bounds[MOST_BOUNDS], value;
    Py_ssize_t n = PyTuple_GET_SIZE(values), k = PyTuple_GET_SIZE(given);
    if (PyTuple_GET_SIZE(ids) != n || !read_bounds(given, bounds)) return 0;
    for (Py_ssize_t i = 0; i <= k; i++) {
        counts[i] = 0;
        last[i] = -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!read_number(PyTuple_GET_ITEM(values, i), &value)) return 0;
        Py_ssize_t bucket = 0;
        while (bucket < k && bounds[bucket] < value) bucket++;
        counts[bucket]++;
        if (!is_zero(PyTuple_GET_ITEM(ids, i))) last[bucket] = i;
    }
    return 1;
}

static int put_last(PyObject *found, Py_ssize_t bucket, Py_ssize_t place)
{
    PyObject *key = PyLong_FromSsize_t(bucket), *value = PyLong_FromSsize_t(place);
    int done = key == NULL || value == NULL ? -1 : PyDict_SetItem(found, key, value);
    Py_XDECREF(key);
    Py_XDECREF(value);
    return done;
}

static PyObject *tally(Py_ssize_t k, const Py_ssize_t *counts, const Py_ssize_t *last)
{
    PyObject *all = PyList_New(k + 1), *found = PyDict_New(), *made = NULL;
    int done = all == NULL || found == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; done == 0 && i <= k; i++) {
        PyObject *number = PyLong_FromSsize_t(counts[i]);
        if (number == NULL) done = -1;
        else PyList_SET_ITEM(all, i, number);
        if (done == 0 && last[i] >= 0) done = put_last(found, i, last[i]);
    }
    if (done == 0) made = PyTuple_Pack(2, all, found);
    Py_XDECREF(all);
    Py_XDECREF(found);
    return made;
}

static PyObject *tallied(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    Py_ssize_t counts[MOST_BOUNDS + 1], last[MOST_BOUNDS + 1];
    int tuples = n == 3;
    for (Py_ssize_t i = 0; tuples && i < n; i++) tuples = PyTuple_CheckExact(args[i]);
    if (tuples && count(args[0], args[1], args[2], counts, last)) return tally(PyTuple_GET_SIZE(args[2]), counts, last);
    return forget() < 0 ? NULL : PyObject_Vectorcall(tallied_in_python, args, n, NULL);
}

/* Many in an array ------------------------------------------------------------------------------------------------- */

/* Opens an array of float64 and one axis; 0 where it is another one. */
static int opened(PyObject *values, Py_buffer *view)
{
    if (PyObject_GetBuffer(values, view, PyBUF_STRIDES | PyBUF_FORMAT) < 0) return 0;
    if (view->ndim == 1 && view->shape[0] > 0 && view->itemsize == sizeof(double) && strcmp(view->format, "d") == 0)
        return 1;
    PyBuffer_Release(view);
    return 0;
}

static double value_at(const Py_buffer *view, Py_ssize_t i)
{
    double value;
    memcpy(&value, (const char *)view->buf + i * view->strides[0], sizeof value);
    return value;
}

static PyObject *spread_of(const Py_buffer *view, const double *bounds, Py_ssize_t k)
{
    Py_ssize_t counts[MOST_BOUNDS + 1] = {0}, last[MOST_BOUNDS + 1];
    for (Py_ssize_t i = 0; i < view->shape[0]; i++) {
        double value = value_at(view, i);
        Py_ssize_t bucket = 0;
        while (bucket < k && !(value <= bounds[bucket])) bucket++;
        counts[bucket]++;
        last[bucket] = i;
    }
    PyObject *all = PyList_New(k + 1), *places = PyList_New(0);
    int done = all == NULL || places == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; done == 0 && i <= k; i++) {
        PyObject *number = PyLong_FromSsize_t(counts[i]);
        PyObject *place = number == NULL || counts[i] == 0 ? NULL : PyLong_FromSsize_t(last[i]);
        if (number == NULL || (counts[i] > 0 && place == NULL)) done = -1;
        else PyList_SET_ITEM(all, i, number);
        if (done == 0 && place != NULL) done = PyList_Append(places, place);
        Py_XDECREF(place);
    }
    PyObject *made = done == 0 ? PyTuple_Pack(2, all, places) : NULL;
    Py_XDECREF(all);
    Py_XDECREF(places);
    return made;
}

static PyObject *spread(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    double bounds[MOST_BOUNDS];
    Py_buffer view;
    PyObject *made = NULL;
    if (n == 2 && PyTuple_CheckExact(args[1]) && read_bounds(args[1], bounds) && opened(args[0], &view)) {
        made = spread_of(&view, bounds, PyTuple_GET_SIZE(args[1]));
        PyBuffer_Release(&view);
    }
    if (made != NULL) return made;
    return forget() < 0 ? NULL : PyObject_Vectorcall(spread_in_python, args, n, NULL);
}

static PyObject *summed(PyObject *module, PyObject *values)
{
    Py_buffer view;
    if (!opened(values, &view)) return forget() < 0 ? NULL : PyObject_CallOneArg(summed_in_python, values);
    long double sum = 0;
    double low = value_at(&view, 0), high = low;
    for (Py_ssize_t i = 0; i < view.shape[0]; i++) {
        double value = value_at(&view, i);
        sum += value;
        if (value < low) low = value;
        if (value > high) high = value;
    }
    PyBuffer_Release(&view);
    return Py_BuildValue("ddd", (double)sum, low, high);
}

static PyMethodDef functions[] = {
    {"tallied", (PyCFunction)(void (*)(void))tallied, METH_FASTCALL,
     "tallied($module, values, ids, bounds, /)\n--\n\n"
     "Return how many values fall into each bucket, and of each the number of the last with an id."},
    {"spread", (PyCFunction)(void (*)(void))spread, METH_FASTCALL,
     "spread($module, values, bounds, /)\n--\n\n"
     "Return how many values fall into each bucket, and the number of the last in each that has one."},
    {"summed", summed, METH_O,
     "summed($module, values, /)\n--\n\nReturn the sum, the lowest and the highest value."},
};

/* Returns these functions, which leave what is unusual to those given. */
PyObject *use_measurements(PyObject *module, PyObject *args)
{
    PyObject **places[] = {&tallied_in_python, &spread_in_python, &summed_in_python}, *given[3];
    if (!PyArg_ParseTuple(args, "OOO", &given[0], &given[1], &given[2])) return NULL;
    PyObject *made = PyTuple_New(3);
    for (Py_ssize_t i = 0; made != NULL && i < 3; i++) {
        set(places[i], Py_NewRef(given[i]));
        PyObject *function = PyCFunction_New(&functions[i], NULL);
        if (function == NULL) Py_CLEAR(made);
        else PyTuple_SET_ITEM(made, i, function);
    }
    return made;
}

/* Ended predictions as columns: those of one shape together, and their times, as `otelml.columns` has them. */

#include "native.h"

#define MOST_SHAPES 8
#define ID_BYTES 8
#define SPAN_BYTES 24 /* the trace's id and its own */

/* The stages as they are now, a tuple. */
static PyObject *stages_of(PyObject *prediction)
{
    PyObject *stages = (PyObject *)Py_TYPE(prediction) == own.served_type ? served_stages(prediction)
                                                                           : PyObject_GetAttr(prediction, str_stages);
    PyObject *made = stages == NULL ? NULL : PySequence_Tuple(stages);
    Py_XDECREF(stages);
    for (Py_ssize_t i = 0; made != NULL && i < PyTuple_GET_SIZE(made); i++) {
        if (PyObject_TypeCheck(PyTuple_GET_ITEM(made, i), &StageFieldsType)) continue;
        PyErr_SetString(PyExc_TypeError, "a stage is none of ours");
        Py_CLEAR(made);
    }
    return made;
}

/* Whether a parent came from elsewhere: what its context says, None without one; NULL where it is unusual. */
static PyObject *remote_of(PyObject *parent)
{
    if (parent == Py_None) return Py_None;
    return (PyObject *)Py_TYPE(parent) == own.span_context ? PyTuple_GET_ITEM(parent, 2) : NULL;
}

static int is_alike(PyObject *row, Prediction *p, PyObject *stages)
{
    Prediction *first = (Prediction *)PyTuple_GET_ITEM(row, 0);
    PyObject *others = PyTuple_GET_ITEM(row, 1);
    Py_ssize_t k = PyTuple_GET_SIZE(stages);
    if (p->series != first->series || p->sampled != first->sampled || p->flags != first->flags) return 0;
    if (remote_of(p->parent) != remote_of(first->parent) || PyTuple_GET_SIZE(others) != k) return 0;
    for (Py_ssize_t i = 0; i < k; i++)
        if (((Stage *)PyTuple_GET_ITEM(stages, i))->known != ((Stage *)PyTuple_GET_ITEM(others, i))->known) return 0;
    return 1;
}

/* Adds a prediction to those of its shape; 0 where it is unusual, or there are too many shapes. */
static int add(PyObject *groups, PyObject *prediction)
{
    Prediction *p = (Prediction *)prediction;
    if (!PyObject_TypeCheck(prediction, &PredictionFieldsType) || p->special != Py_False) return 0;
    if (remote_of(p->parent) == NULL || own.span_context == NULL) return 0;
    PyObject *stages = stages_of(prediction), *group = NULL;
    PyObject *row = stages == NULL ? NULL : PyTuple_Pack(2, prediction, stages);
    Py_ssize_t n = PyList_GET_SIZE(groups);
    int done = row == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; done == 1 && group == NULL && i < n; i++)
        if (is_alike(PyList_GET_ITEM(PyList_GET_ITEM(groups, i), 0), p, stages)) group = PyList_GET_ITEM(groups, i);
    if (done == 1 && group != NULL) done = PyList_Append(group, row) < 0 ? -1 : 1;
    else if (done == 1 && n == MOST_SHAPES) done = 0;
    else if (done == 1 && (group = PyList_New(1)) != NULL) {
        PyList_SET_ITEM(group, 0, Py_NewRef(row));
        done = PyList_Append(groups, group) < 0 ? -1 : 1;
        Py_DECREF(group);
    }
    Py_XDECREF(stages);
    Py_XDECREF(row);
    return PyErr_Occurred() ? -1 : done;
}

static PyObject *rows_in_python;

static PyObject *rows(PyObject *module, PyObject *predictions)
{
    PyObject *groups = PyList_CheckExact(predictions) ? PyList_New(0) : NULL;
    int done = groups != NULL;
    for (Py_ssize_t i = 0; done == 1 && i < PyList_GET_SIZE(predictions); i++)
        done = add(groups, PyList_GET_ITEM(predictions, i));
    if (done == 1) return groups;
    Py_XDECREF(groups);
    return forget() < 0 ? NULL : PyObject_CallOneArg(rows_in_python, predictions);
}

static PyMethodDef rows_function = {
    "rows_of", rows, METH_O,
    "rows_of($module, predictions, /)\n--\n\nReturn predictions by model and shape, each with its stages."};

/* Returns `rows_of`, which leaves what is unusual to the one given. */
PyObject *use_columns(PyObject *module, PyObject *in_python)
{
    set(&rows_in_python, Py_NewRef(in_python));
    return PyCFunction_New(&rows_function, NULL);
}

/* Times ------------------------------------------------------------------------------------------------------------ */

/* Writes whole numbers one after the other; -1 and an exception where they are none. */
static int put_numbers(char *at, PyObject *const *numbers, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++, at += sizeof(long long)) {
        if (numbers[i] == NULL) PyErr_SetString(PyExc_TypeError, "a time is no number");
        long long number = numbers[i] == NULL ? -1 : PyLong_AsLongLong(numbers[i]);
        if (number == -1 && PyErr_Occurred()) return -1;
        memcpy(at, &number, sizeof number);
    }
    return 0;
}

static PyObject *wrong(PyObject *made, const char *what)
{
    Py_XDECREF(made);
    return PyErr_Format(PyExc_TypeError, "%s takes a list of ours", what);
}

/* Returns `size` bytes of each prediction, one after the other. */
static PyObject *of_each(PyObject *predictions, const char *what, size_t size, int (*put)(char *, Prediction *))
{
    if (!PyList_CheckExact(predictions)) return wrong(NULL, what);
    Py_ssize_t n = PyList_GET_SIZE(predictions);
    PyObject *made = PyBytes_FromStringAndSize(NULL, n * (Py_ssize_t)size);
    char *at = made == NULL ? NULL : PyBytes_AS_STRING(made);
    for (Py_ssize_t i = 0; made != NULL && i < n; i++, at += size) {
        Prediction *p = (Prediction *)PyList_GET_ITEM(predictions, i);
        if (!PyObject_TypeCheck((PyObject *)p, &PredictionFieldsType)) return wrong(made, what);
        if (put(at, p) < 0) Py_CLEAR(made);
    }
    return made;
}

static int put_times(char *at, Prediction *p)
{
    PyObject *numbers[] = {p->started, p->ended, p->offset};
    return put_numbers(at, numbers, 3);
}

static PyObject *times(PyObject *module, PyObject *predictions)
{
    return of_each(predictions, "times()", 3 * sizeof(long long), put_times);
}

static int is_of(PyObject *stages, Py_ssize_t k)
{
    if (!PyTuple_CheckExact(stages) || PyTuple_GET_SIZE(stages) != k) return 0;
    for (Py_ssize_t j = 0; j < k; j++)
        if (!PyObject_TypeCheck(PyTuple_GET_ITEM(stages, j), &StageFieldsType)) return 0;
    return 1;
}

/* Returns `size` bytes of each stage of each prediction. */
static PyObject *of_stages(PyObject *all, const char *what, size_t size, int (*put)(char *, Stage *))
{
    Py_ssize_t n = PyList_CheckExact(all) ? PyList_GET_SIZE(all) : 0;
    if (n == 0 || !PyTuple_CheckExact(PyList_GET_ITEM(all, 0))) return wrong(NULL, what);
    Py_ssize_t k = PyTuple_GET_SIZE(PyList_GET_ITEM(all, 0));
    PyObject *made = PyBytes_FromStringAndSize(NULL, n * k * (Py_ssize_t)size);
    char *at = made == NULL ? NULL : PyBytes_AS_STRING(made);
    for (Py_ssize_t i = 0; made != NULL && i < n; i++) {
        PyObject *stages = PyList_GET_ITEM(all, i);
        if (!is_of(stages, k)) return wrong(made, what);
        for (Py_ssize_t j = 0; made != NULL && j < k; j++, at += size)
            if (put(at, (Stage *)PyTuple_GET_ITEM(stages, j)) < 0) Py_CLEAR(made);
    }
    return made;
}

static int put_stage_times(char *at, Stage *stage)
{
    PyObject *numbers[] = {stage->started, stage->ended};
    return put_numbers(at, numbers, 2);
}

static PyObject *stage_times(PyObject *module, PyObject *all)
{
    return of_stages(all, "stage_times()", 2 * sizeof(long long), put_stage_times);
}

/* Ids -------------------------------------------------------------------------------------------------------------- */

int put_unsigned(char *at, PyObject *number, size_t size)
{
    if (number == NULL || !PyLong_Check(number)) {
        PyErr_SetString(PyExc_TypeError, "an id is no number");
        return -1;
    }
#if PY_VERSION_HEX >= 0x030D0000
    int flags = Py_ASNATIVEBYTES_BIG_ENDIAN | Py_ASNATIVEBYTES_UNSIGNED_BUFFER | Py_ASNATIVEBYTES_REJECT_NEGATIVE;
    Py_ssize_t taken = PyLong_AsNativeBytes(number, at, size, flags);
    if (taken > (Py_ssize_t)size) PyErr_SetString(PyExc_OverflowError, "an id is too large");
    return taken < 0 || taken > (Py_ssize_t)size ? -1 : 0;
#else
    return _PyLong_AsByteArray((PyLongObject *)number, (unsigned char *)at, size, 0, 0);
#endif
}

static int put_ids(char *at, Prediction *p)
{
    return put_unsigned(at, p->ids, SPAN_BYTES);
}

static PyObject *ids(PyObject *module, PyObject *predictions)
{
    return of_each(predictions, "ids()", SPAN_BYTES, put_ids);
}

static int put_stage_id(char *at, Stage *stage)
{
    return put_unsigned(at, stage->span_id, ID_BYTES);
}

static PyObject *stage_ids(PyObject *module, PyObject *all)
{
    return of_stages(all, "stage_ids()", ID_BYTES, put_stage_id);
}

static int put_parent(char *at, Prediction *p)
{
    PyObject *id = NULL;
    if (p->parent != NULL && (PyObject *)Py_TYPE(p->parent) == own.span_context)
        id = Py_NewRef(PyTuple_GET_ITEM(p->parent, 1));
    else if (p->parent != NULL)
        id = PyObject_GetAttr(p->parent, str_span_id);
    int done = put_unsigned(at, id, ID_BYTES);
    Py_XDECREF(id);
    return done;
}

static PyObject *parent_ids(PyObject *module, PyObject *predictions)
{
    return of_each(predictions, "parent_ids()", ID_BYTES, put_parent);
}

static PyObject *forget_stages(PyObject *module, PyObject *predictions)
{
    if (!PyList_CheckExact(predictions)) return wrong(NULL, "forget_stages()");
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(predictions); i++) {
        PyObject *p = PyList_GET_ITEM(predictions, i), *none = PyList_New(0);
        int done = none == NULL ? -1 : 0;
        if (done == 0 && (PyObject *)Py_TYPE(p) == own.served_type) {
            set(&((Served *)p)->step, Py_NewRef(Py_None));
            set(&((Served *)p)->made, Py_NewRef(none));
        } else if (done == 0) {
            done = PyObject_SetAttr(p, str_stages, none);
        }
        Py_XDECREF(none);
        if (done < 0) return NULL;
    }
    Py_RETURN_NONE;
}

PyMethodDef column_functions[] = {
    {"ids", ids, METH_O, "ids($module, predictions, /)\n--\n\nReturn trace and span id of each, 24 bytes each."},
    {"stage_ids", stage_ids, METH_O,
     "stage_ids($module, stages, /)\n--\n\nReturn the span id of each stage of each prediction, 8 bytes each."},
    {"parent_ids", parent_ids, METH_O,
     "parent_ids($module, predictions, /)\n--\n\nReturn the id of the span above each, 8 bytes each."},
    {"forget_stages", forget_stages, METH_O,
     "forget_stages($module, predictions, /)\n--\n\nTake the stages out of predictions."},
    {"times", times, METH_O,
     "times($module, predictions, /)\n--\n\nReturn start, end and offset of each, 8 bytes each."},
    {"stage_times", stage_times, METH_O,
     "stage_times($module, stages, /)\n--\n\nReturn start and end of each stage of each prediction, 8 bytes each."},
    {NULL},
};

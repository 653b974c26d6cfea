/* What a call of scikit-learn gave for one row of plain numbers, as `otelml.integrations._sklearn_rows` reads it. */

#include "native.h"

#include <math.h>

#define SUM_TOLERANCE 1e-3 /* `_sklearn_outputs.SUM_TOLERANCE` */
#define MOST_AXES 2

/* Numbers of an array that nobody copies: in rows of columns, or in one row. */
typedef struct {
    Py_buffer view;
    Py_ssize_t columns;
    int is_float;
} Numbers;

static double number_at(const Numbers *from, Py_ssize_t row, Py_ssize_t column)
{
    const Py_ssize_t *strides = from->view.strides;
    const char *place = (const char *)from->view.buf + column * strides[from->view.ndim - 1];
    if (from->view.ndim == 2) place += row * strides[0];
    double number;
    memcpy(&number, place, sizeof number); /* it may be anywhere */
    return number;
}

/* Whether an attribute, a text of one letter, is among some letters; -1 where it can't be told. */
static int is_kind(PyObject *dtype, const char *letters)
{
    PyObject *kind = PyObject_GetAttr(dtype, str_kind);
    if (kind == NULL) return -1;
    int is = PyUnicode_Check(kind) && PyUnicode_GET_LENGTH(kind) == 1;
    if (is) {
        Py_UCS4 letter = PyUnicode_READ_CHAR(kind, 0);
        is = letter < 128 && letter != 0 && strchr(letters, (int)letter) != NULL;
    }
    Py_DECREF(kind);
    return is;
}

/* Opens a small array of float64, or of one of the other kinds given; 1: it is open, 0: it is another one. */
static int opened(PyObject *array, PyObject *dtype, const char *others, Numbers *into)
{
    into->is_float = dtype == own.float64;
    int fits = into->is_float ? 1 : is_kind(dtype, others);
    if (fits <= 0) return fits;
    if (PyObject_GetBuffer(array, &into->view, PyBUF_STRIDES) < 0) return -1;
    int axes = into->view.ndim;
    if (axes >= 1 && axes <= MOST_AXES && into->view.len > 0 && into->view.len <= SMALL * into->view.itemsize) {
        into->columns = into->view.shape[axes - 1];
        return 1;
    }
    PyBuffer_Release(&into->view);
    return 0;
}

static Py_ssize_t missing_in(const Numbers *numbers)
{
    Py_ssize_t rows = numbers->view.ndim == 2 ? numbers->view.shape[0] : 1, missing = 0;
    for (Py_ssize_t i = 0; numbers->is_float && i < rows; i++)
        for (Py_ssize_t j = 0; j < numbers->columns; j++) missing += isnan(number_at(numbers, i, j)) != 0;
    return missing;
}

/* Finds the highest of one row of probabilities; 0 where they are none. */
static int find_best(const Numbers *row, Py_ssize_t *place, double *confidence)
{
    double sum = 0;
    *confidence = -INFINITY;
    for (Py_ssize_t i = 0; i < row->columns; i++) {
        double share = number_at(row, 0, i);
        sum += share;
        if (share > *confidence) {
            *confidence = share;
            *place = i;
        }
    }
    return fabs(sum - 1.0) <= SUM_TOLERANCE; /* not if it is NaN */
}

/* Returns a shape as a tuple: the one that was asked for last, where it is the same. */
static PyObject *shape_of(const Py_buffer *view, PyObject **last)
{
    int same = *last != NULL && PyTuple_GET_SIZE(*last) == view->ndim;
    for (int i = 0; same && i < view->ndim; i++)
        same = PyLong_AsSsize_t(PyTuple_GET_ITEM(*last, i)) == view->shape[i];
    if (same) return Py_NewRef(*last);
    PyObject *shape = view->ndim == 2 ? Py_BuildValue("(nn)", view->shape[0], view->shape[1])
                                      : Py_BuildValue("(n)", view->shape[0]);
    return set(last, Py_XNewRef(shape)) < 0 ? NULL : shape;
}

static PyObject *name_of(PyObject *dtype)
{
    return dtype == own.float64 ? Py_NewRef(str_float64) : PyObject_CallOneArg(own.dtype_name, dtype);
}

/* Returns what is known of a row but for what was predicted. */
static Result *described(const Py_buffer *answer, PyObject *dtype, const Numbers *inputs, PyObject *input_dtype)
{
    static PyObject *answer_shape, *input_shape;
    Result *result = (Result *)ResultFieldsType.tp_new((PyTypeObject *)own.result, NULL, NULL);
    if (result == NULL) return NULL;
    set(&result->rows, Py_NewRef(own.one));
    if (set(&result->shape, shape_of(answer, &answer_shape)) < 0 || set(&result->dtype, name_of(dtype)) < 0 ||
        set(&result->input_shape, shape_of(&inputs->view, &input_shape)) < 0 ||
        set(&result->input_dtype, name_of(input_dtype)) < 0 ||
        set(&result->missing, PyLong_FromSsize_t(missing_in(inputs))) < 0)
        Py_CLEAR(result);
    return result;
}

static PyObject *item_of(PyObject *array, Py_ssize_t place)
{
    PyObject *number = PyLong_FromSsize_t(place);
    PyObject *item = number == NULL ? NULL : PyObject_CallMethodOneArg(array, str_item, number);
    Py_XDECREF(number);
    return item;
}

/* Returns the label of the class at a place; NULL without an error where the classes are not plain ones. */
static PyObject *label_at(PyObject *final, Py_ssize_t place, Py_ssize_t classes)
{
    PyObject *labels = PyObject_GetAttr(final, str_classes_), *dtype = NULL, *label = NULL;
    if (labels != NULL && (PyObject *)Py_TYPE(labels) == own.array) dtype = PyObject_GetAttr(labels, str_dtype);
    if (dtype != NULL && is_kind(dtype, "biufU") == 1) {
        PyObject *axes = PyObject_GetAttr(labels, str_ndim);
        if (axes != NULL && PyLong_AsLong(axes) == 1 && PyObject_Size(labels) == classes)
            label = item_of(labels, place);
        Py_XDECREF(axes);
    }
    Py_XDECREF(dtype);
    Py_XDECREF(labels);
    return label;
}

/* Adds class and confidence to what is known; 0 where they can't be told here. */
static int add_probabilities(const Numbers *row, PyObject *final, PyObject *labelled, Result *result)
{
    Py_ssize_t place = 0;
    double confidence;
    if (row->view.ndim != 2 || row->view.shape[0] != 1 || labelled != Py_True) return 0;
    if (!find_best(row, &place, &confidence)) return 0;
    PyObject *label = label_at(final, place, row->columns);
    if (label == NULL) return PyErr_Occurred() ? -1 : 0;
    set(&result->classes, label);
    return set(&result->confidence, PyFloat_FromDouble(confidence)) < 0 ? -1 : 1;
}

/* Adds the class or the value; 0 where there is not just one. */
static int add_predicted(const Py_buffer *view, PyObject *answer, int is_label, Result *result)
{
    if (view->ndim != 1 || view->shape[0] != 1) return 0;
    return set(is_label ? &result->classes : &result->values, item_of(answer, 0)) < 0 ? -1 : 1;
}

typedef struct {
    PyObject *answer, *dtype, *inputs, *input_dtype, *final;
} Given;

static int read_answer(Served *self, const Given *given, const Numbers *inputs, Result **result)
{
    Numbers answer;
    PyObject *method = self->base.operation, *kind = NULL; /* kind: what classes are known, for probabilities */
    int is_table = is_text(method, "predict_proba"), done = 0;
    if (!is_table && !is_text(method, "predict")) return 0;
    if ((kind = attribute(self->plan, is_table ? str_labelled : str_kind)) == NULL) return -1;
    int is_label = is_text(kind, "classes");
    if (is_table || is_label || is_text(kind, "values"))
        done = opened(given->answer, given->dtype, is_label ? "biufU" : "", &answer);
    if (done == 1) {
        *result = described(&answer.view, given->dtype, inputs, given->input_dtype);
        if (*result == NULL) done = -1;
        else if (is_table) done = add_probabilities(&answer, given->final, kind, *result);
        else done = add_predicted(&answer.view, given->answer, is_label, *result);
        PyBuffer_Release(&answer.view);
    }
    Py_DECREF(kind);
    return done;
}

static int read_given(Served *self, const Given *given, Result **result)
{
    Numbers inputs;
    int done = opened(given->inputs, given->input_dtype, "biu", &inputs);
    if (done != 1) return done;
    done = read_answer(self, given, &inputs, result);
    PyBuffer_Release(&inputs.view);
    return done;
}

/* Whether no more is kept of a call than usual, and nothing is known so far; -1 where it can't be told. */
static int is_usual(Served *self)
{
    if (self->base._observed != Py_None || own.result == NULL) return 0;
    int usual = is_none(self->base.series, str_take);
    if (usual <= 0) return usual;
    PyObject *capture = attribute(self->base.sink, str_capture);
    if (capture == NULL) return -1;
    usual = is_text(capture, "stats");
    Py_DECREF(capture);
    return usual;
}

static int find_float64(void)
{
    if (own.float64 != NULL) return 0;
    return set(&own.float64, PyObject_CallMethod(own.numpy, "dtype", "s", "float64"));
}

/* Reads a row into a result; 1: it is read, 0: it is not plain and Python is to look, -1: it failed. */
int read_row(Served *self, PyObject *answer, PyObject *inputs, PyObject *final, PyObject **result)
{
    int done = is_array(answer);
    if (done == 1) done = is_array(inputs);
    if (done == 1) done = is_usual(self);
    if (done <= 0) return done;
    if (find_float64() < 0) return -1;
    Given given = {answer, PyObject_GetAttr(answer, str_dtype), inputs, PyObject_GetAttr(inputs, str_dtype), final};
    done = given.dtype == NULL || given.input_dtype == NULL ? -1 : read_given(self, &given, (Result **)result);
    Py_XDECREF(given.dtype);
    Py_XDECREF(given.input_dtype);
    if (done <= 0) Py_CLEAR(*result);
    else PyObject_GC_UnTrack(*result); /* numbers, texts and tuples of numbers: nothing to go through */
    return done;
}

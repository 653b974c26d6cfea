/* OTLP bytes: messages of many parts, as `otelml.templates.framed` and `otelml.integrations._http_series.message` write
 * them. */

#include "native.h"

static struct {
    PyObject *message, *head_of_id, *local, *remote;
} http_span;

static char *put_varint(char *at, size_t n)
{
    for (; n > 127; n >>= 7) *at++ = (char)((n & 127) | 128);
    *at++ = (char)n;
    return at;
}

static size_t varint_size(size_t n)
{
    size_t size = 1;
    for (; n > 127; n >>= 7) size++;
    return size;
}

static char *put_bytes(char *at, PyObject *bytes)
{
    memcpy(at, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    return at + PyBytes_GET_SIZE(bytes);
}

/* Many messages ---------------------------------------------------------------------------------------------------- */

#define MOST_COLUMNS 8

/* Parts of one place in all messages: one each, the same in all, or `size` bytes of `data` each. */
typedef struct {
    PyObject *list, *data;
    Py_ssize_t size;
    int is_cut;
} Column;

static int read_column(PyObject *given, Py_ssize_t n, Column *column)
{
    *column = (Column){NULL};
    if (PyBytes_CheckExact(given)) {
        column->data = given;
        column->size = PyBytes_GET_SIZE(given);
    } else if (PyList_CheckExact(given) && PyList_GET_SIZE(given) == n) {
        column->list = given;
        for (Py_ssize_t i = 0; i < n; i++)
            if (!PyBytes_CheckExact(PyList_GET_ITEM(given, i))) goto wrong;
    } else if (PyTuple_CheckExact(given) && PyTuple_GET_SIZE(given) == 2 &&
               PyBytes_CheckExact(PyTuple_GET_ITEM(given, 0)) && PyLong_CheckExact(PyTuple_GET_ITEM(given, 1))) {
        column->data = PyTuple_GET_ITEM(given, 0);
        column->size = PyLong_AsSsize_t(PyTuple_GET_ITEM(given, 1));
        column->is_cut = 1;
        if (column->size < 0 || (n > 0 && column->size > PyBytes_GET_SIZE(column->data) / n)) goto wrong;
    } else {
        goto wrong;
    }
    return 0;
wrong:
    PyErr_Format(PyExc_TypeError, "framed() takes bytes, a list of %zd bytes, or bytes and the size of each part", n);
    return -1;
}

static Py_ssize_t size_in(const Column *column, Py_ssize_t i)
{
    return column->list == NULL ? column->size : PyBytes_GET_SIZE(PyList_GET_ITEM(column->list, i));
}

static char *put_part(char *at, const Column *column, Py_ssize_t i)
{
    if (column->list != NULL) return put_bytes(at, PyList_GET_ITEM(column->list, i));
    memcpy(at, PyBytes_AS_STRING(column->data) + (column->is_cut ? i * column->size : 0), column->size);
    return at + column->size;
}

static PyObject *one_framed(PyObject *tag, const Column *columns, Py_ssize_t k, Py_ssize_t i)
{
    Py_ssize_t size = 0;
    for (Py_ssize_t j = 0; j < k; j++) size += size_in(&columns[j], i);
    PyObject *made = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(tag) + varint_size(size) + size);
    if (made == NULL) return NULL;
    char *at = put_varint(put_bytes(PyBytes_AS_STRING(made), tag), size);
    for (Py_ssize_t j = 0; j < k; j++) at = put_part(at, &columns[j], i);
    return made;
}

static PyObject *framed(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Column columns[MOST_COLUMNS];
    Py_ssize_t k = given - 2, n = given < 3 || !PyLong_Check(args[1]) ? -1 : PyLong_AsSsize_t(args[1]);
    if (n < 0 || k > MOST_COLUMNS || !PyBytes_CheckExact(args[0])) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "framed() takes a tag, a number and up to 8 columns");
        return NULL;
    }
    for (Py_ssize_t j = 0; j < k; j++)
        if (read_column(args[j + 2], n, &columns[j]) < 0) return NULL;
    PyObject *all = PyList_New(n);
    for (Py_ssize_t i = 0; all != NULL && i < n; i++) {
        PyObject *made = one_framed(args[0], columns, k, i);
        if (made == NULL) Py_CLEAR(all);
        else PyList_SET_ITEM(all, i, made);
    }
    return all;
}

/* The span of a request -------------------------------------------------------------------------------------------- */

static char *put_time(char *at, char tag, unsigned long long number)
{
    *at++ = tag;
    for (int i = 0; i < 8; i++) *at++ = (char)(number >> 8 * i);
    return at;
}

static char *put_parent(char *at, unsigned long long number)
{
    *at++ = '\x22';
    *at++ = '\x08';
    for (int i = 56; i >= 0; i -= 8) *at++ = (char)(number >> i);
    return at;
}

/* Its parts: all but the numbers are bytes. */
typedef struct {
    char ids[24];
    PyObject *head, *tail, *id_head, *id, *flags;
    unsigned long long parent, started, ended;
} Parts;

static size_t size_of(const Parts *p)
{
    size_t all = 18 + 10 + 18 + (p->parent ? 10 : 0);
    PyObject *rest[] = {p->head, p->tail, p->id_head, p->id, p->flags};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) all += PyBytes_GET_SIZE(rest[i]);
    return all;
}

static PyObject *written(const Parts *p, size_t size)
{
    PyObject *made = PyBytes_FromStringAndSize(NULL, 1 + varint_size(size) + size);
    if (made == NULL) return NULL;
    char *at = PyBytes_AS_STRING(made);
    *at++ = '\x12';
    at = put_varint(at, size);
    memcpy(at, "\x0a\x10", 2);
    memcpy(at + 2, p->ids, 16);
    memcpy(at + 18, "\x12\x08", 2);
    memcpy(at + 20, p->ids + 16, 8);
    at += 28;
    if (p->parent) at = put_parent(at, p->parent);
    at = put_bytes(at, p->head);
    at = put_time(at, '\x39', p->started);
    at = put_time(at, '\x41', p->ended);
    PyObject *rest[] = {p->tail, p->id_head, p->id, p->flags};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) at = put_bytes(at, rest[i]);
    return made;
}

static int read_numbers(PyObject *const *args, Parts *p)
{
    int numbers[] = {1, 2, 4, 5};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!PyLong_Check(args[numbers[i]])) return -1;
    p->parent = PyLong_AsUnsignedLongLong(args[2]);
    p->started = PyLong_AsUnsignedLongLong(args[4]);
    p->ended = PyLong_AsUnsignedLongLong(args[5]);
    return PyErr_Occurred() ? -1 : put_unsigned(p->ids, args[1], sizeof p->ids);
}

static int read_texts(PyObject *const *args, Parts *p)
{
    PyObject *encoded = args[0];
    if (!PyTuple_CheckExact(encoded) || PyTuple_GET_SIZE(encoded) != 2 || !PyUnicode_CheckExact(args[6])) return -1;
    p->head = PyTuple_GET_ITEM(encoded, 0);
    p->tail = PyTuple_GET_ITEM(encoded, 1);
    p->flags = PyObject_IsTrue(args[3]) == 1 ? http_span.remote : http_span.local;
    if (!PyBytes_CheckExact(p->head) || !PyBytes_CheckExact(p->tail)) return -1;
    if ((p->id = PyUnicode_AsUTF8String(args[6])) == NULL) return -1;
    PyObject *length = PyLong_FromSsize_t(PyBytes_GET_SIZE(p->id));
    if (length != NULL) p->id_head = PyObject_CallOneArg(http_span.head_of_id, length);
    Py_XDECREF(length);
    return p->id_head == NULL || !PyBytes_CheckExact(p->id_head) ? -1 : 0;
}

static PyObject *message(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    Parts parts = {{0}};
    PyObject *made = NULL;
    if (n == 7 && read_texts(args, &parts) == 0 && read_numbers(args, &parts) == 0) {
        size_t size = size_of(&parts);
        if (size < 1 << 14) made = written(&parts, size);
    }
    Py_XDECREF(parts.id);
    Py_XDECREF(parts.id_head);
    if (made != NULL) return made;
    return forget() < 0 ? NULL : PyObject_Vectorcall(http_span.message, args, n, NULL);
}

static PyMethodDef message_function = {
    "message", (PyCFunction)(void (*)(void))message, METH_FASTCALL,
    "message($module, encoded, ids, parent, remote, started, ended, request, /)\n--\n\n"
    "Return an ended span as a message of a batch."};

/* Returns `message`, to be put in the place of the one given. */
PyObject *use_message(PyObject *module, PyObject *args)
{
    PyObject *in_python, *head_of_id, *local, *remote;
    if (!PyArg_ParseTuple(args, "OOSS", &in_python, &head_of_id, &local, &remote)) return NULL;
    set(&http_span.message, Py_NewRef(in_python));
    set(&http_span.head_of_id, Py_NewRef(head_of_id));
    set(&http_span.local, Py_NewRef(local));
    set(&http_span.remote, Py_NewRef(remote));
    return PyCFunction_New(&message_function, NULL);
}

/* The lines for people of predictions ------------------------------------------------------------------------------ */

static PyObject *sentences_in_python;

static char *put_text(char *at, const char *text)
{
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

static char *put_ascii(char *at, PyObject *text)
{
    memcpy(at, PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text));
    return at + PyUnicode_GET_LENGTH(text);
}

/* Returns a line as `descriptions._predicted` does, of what is ASCII and in milliseconds; else NULL. */
static PyObject *line(PyObject *model, PyObject *said, const double *confidence, double seconds)
{
    PyObject *made = NULL;
    char *sure = NULL, *took = PyOS_double_to_string(seconds * 1e3, 'g', 3, 0, NULL);
    if (took == NULL || strstr(took, "e+") != NULL) goto done;
    if (confidence != NULL && (sure = PyOS_double_to_string(*confidence, 'f', 2, 0, NULL)) == NULL) goto done;
    Py_ssize_t n = PyUnicode_GET_LENGTH(model) + PyUnicode_GET_LENGTH(said) + strlen(took) + 18;
    if ((made = PyUnicode_New(n + (sure == NULL ? 0 : strlen(sure) + 3), 127)) == NULL) goto done;
    char *at = put_ascii(put_text(put_ascii((char *)PyUnicode_1BYTE_DATA(made), model), " predicted "), said);
    if (sure != NULL) at = put_text(put_text(put_text(at, " ("), sure), ")");
    put_text(put_text(put_text(at, " in "), took), " ms");
done:
    PyMem_Free(sure);
    PyMem_Free(took);
    return made;
}

/* Returns the numbers of an array of float64, as many as there should be; NULL where it is another one. */
static const double *numbers_of(PyObject *array, Py_buffer *view, Py_ssize_t n)
{
    if (PyObject_GetBuffer(array, view, PyBUF_CONTIG_RO | PyBUF_FORMAT) < 0) return NULL;
    if (view->format != NULL && strcmp(view->format, "d") == 0 && view->len == n * (Py_ssize_t)sizeof(double))
        return view->buf;
    PyBuffer_Release(view);
    return NULL;
}

static PyObject *lines(PyObject *model, PyObject *said, const double *confidence, const double *seconds)
{
    Py_ssize_t n = PyList_GET_SIZE(said);
    PyObject *made = PyList_New(n);
    for (Py_ssize_t i = 0; made != NULL && i < n; i++) {
        PyObject *text = PyList_GET_ITEM(said, i);
        int plain = PyUnicode_CheckExact(text) && PyUnicode_IS_ASCII(text);
        PyObject *one = plain ? line(model, text, confidence == NULL ? NULL : confidence + i, seconds[i]) : NULL;
        if (one == NULL) Py_CLEAR(made);
        else PyList_SET_ITEM(made, i, one);
    }
    return made;
}

static PyObject *sentences(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    Py_buffer sure, took;
    const double *confidence = NULL, *seconds = NULL;
    PyObject *made = NULL;
    if (given != 4 || !PyUnicode_CheckExact(args[0]) || !PyUnicode_IS_ASCII(args[0]) || !PyList_CheckExact(args[1]))
        return PyObject_Vectorcall(sentences_in_python, args, given, NULL);
    if (args[2] == Py_None || (confidence = numbers_of(args[2], &sure, PyList_GET_SIZE(args[1]))) != NULL)
        seconds = numbers_of(args[3], &took, PyList_GET_SIZE(args[1]));
    if (seconds != NULL) {
        made = lines(args[0], args[1], confidence, seconds);
        PyBuffer_Release(&took);
    }
    if (confidence != NULL) PyBuffer_Release(&sure);
    if (made != NULL) return made;
    return forget() < 0 ? NULL : PyObject_Vectorcall(sentences_in_python, args, given, NULL);
}

static PyMethodDef sentences_function = {
    "sentences", (PyCFunction)(void (*)(void))sentences, METH_FASTCALL,
    "sentences($module, model, said, confidence, seconds, /)\n--\n\nReturn the line for people of each prediction."};

/* Returns `sentences`, which leaves what is unusual to the one given. */
PyObject *use_sentences(PyObject *module, PyObject *in_python)
{
    set(&sentences_in_python, Py_NewRef(in_python));
    return PyCFunction_New(&sentences_function, NULL);
}

PyMethodDef encoding_functions[] = {
    {"framed", (PyCFunction)(void (*)(void))framed, METH_FASTCALL, NULL},
    {NULL},
};

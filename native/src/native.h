/* What the parts of the accelerator share: the objects, and what `use_...` was given.
 *
 * Predictions, stages and requests keep their attributes in C structs, as slots that Python sees like any others. The
 * methods that run on the application's thread are here for the common case: no error, no tracer of somebody else's, no
 * span of the application's in between. Whatever else there is they leave to the methods of the same names in Python,
 * which are given the same object: nothing is decided here that is not decided there, and the same tests run over both.
 */

#ifndef OTELML_NATIVE_H
#define OTELML_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

/* Name and first value of each attribute; `UNSET` has none. Python's are in the classes of the same names. */
#define UNSET NULL
#define STAGE_FIELDS(X)                                                                                               \
    X(prediction, UNSET) X(known, UNSET) X(started, own.zero) X(ended, own.zero) X(span_id, own.zero)                 \
    X(other, Py_None) X(above, Py_None) X(error, Py_None) X(_token, Py_None)
#define PREDICTION_FIELDS(X)                                                                                          \
    X(sink, UNSET) X(series, UNSET) X(stages, UNSET) X(way, UNSET) X(started, own.zero) X(ended, own.zero)            \
    X(offset, own.zero) X(ids, own.zero) X(number, own.zero) X(flags, own.flags) X(sampled, Py_False)                 \
    X(special, Py_False) X(dropped, Py_False) X(kept, own.zero) X(items, own.zero) X(first_item, own.zero)            \
    X(other, Py_None) X(parent, Py_None) X(error, Py_None) X(members, own.empty) X(request_id, Py_None)               \
    X(given_id, Py_None) X(operation, Py_None) X(framework, Py_None) X(variant, Py_None) X(_result, Py_None)          \
    X(_observed, Py_None) X(_token, Py_None)
#define SERVED_FIELDS(X)                                                                                              \
    X(plan, UNSET) X(around, UNSET) X(waiting, Py_None) X(two, Py_False) X(turned, own.zero) X(seen, Py_None)         \
    X(made, Py_None) X(step, Py_None)
#define SERVER_SPAN_FIELDS(X)                                                                                         \
    X(_name, UNSET) X(ids, UNSET) X(flags, UNSET) X(parent, Py_None) X(start_ns, UNSET) X(end_ns, own.zero)
#define REQUEST_FIELDS(X)                                                                                             \
    X(scope, UNSET) X(id, UNSET) X(_requests, UNSET) X(_app, UNSET) X(_send, UNSET) X(_wall, UNSET) X(_start, UNSET)  \
    X(_path, UNSET) X(_root_path, UNSET) X(_method, UNSET) X(_kind, UNSET) X(_direct, UNSET) X(_span, UNSET)          \
    X(_cell, UNSET) X(_own, UNSET) X(_beside, UNSET) X(_scheme, Py_None) X(_request_size, Py_None)                    \
    X(_synthetic, Py_None) X(_status, Py_None) X(_response_size, Py_None) X(_handling, Py_None) X(_noted, Py_None)    \
    X(_series, Py_None) X(_active, Py_None) X(_token, Py_None) X(_end, own.zero) X(_exported, Py_False)

#define RESULT_FIELDS(X)                                                                                              \
    X(rows, Py_None) X(classes, Py_None) X(confidence, Py_None) X(values, Py_None) X(shape, Py_None)                  \
    X(dtype, Py_None) X(input_shape, Py_None) X(input_dtype, Py_None) X(missing, Py_None)                             \
    X(business_value, Py_None) X(business_unit, Py_None) X(input_payload, Py_None) X(output_payload, Py_None)         \
    X(features, Py_None) X(_label, Py_None)

#define DECLARE_FIELD(name, first) PyObject *name;
#define SET_FIELD(name, first) self->name = Py_XNewRef(first);
#define VISIT_FIELD(name, first) Py_VISIT(self->name);
#define CLEAR_FIELD(name, first) Py_CLEAR(self->name);

/* The type of the objects that have these fields: `made` makes one, also of a class in Python that it is a base of. */
#define FIELDS_TYPE(Struct, FIELDS, kind, made, what)                                                                 \
    static PyObject *made(PyTypeObject *type, PyObject *args, PyObject *kwargs)                                       \
    {                                                                                                                 \
        Struct *self = (Struct *)type->tp_alloc(type, 0);                                                             \
        if (self != NULL) {                                                                                           \
            FIELDS(SET_FIELD)                                                                                         \
        }                                                                                                             \
        return (PyObject *)self;                                                                                      \
    }                                                                                                                 \
    static int traverse_##kind(Struct *self, visitproc visit, void *arg)                                              \
    {                                                                                                                 \
        FIELDS(VISIT_FIELD)                                                                                           \
        return 0;                                                                                                     \
    }                                                                                                                 \
    static int clear_##kind(Struct *self)                                                                             \
    {                                                                                                                 \
        FIELDS(CLEAR_FIELD)                                                                                           \
        return 0;                                                                                                     \
    }                                                                                                                 \
    static void dealloc_##kind(Struct *self)                                                                          \
    {                                                                                                                 \
        PyObject_GC_UnTrack(self);                                                                                    \
        clear_##kind(self);                                                                                           \
        Py_TYPE(self)->tp_free((PyObject *)self);                                                                     \
    }                                                                                                                 \
    static PyMemberDef members_##kind[] = {FIELDS(MEMBER_##Struct){NULL}};                                            \
    PyTypeObject kind##Type = {                                                                                       \
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "otelml_native." #kind,                                              \
        .tp_doc = what,                                                                                               \
        .tp_basicsize = sizeof(Struct),                                                                               \
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,                                    \
        .tp_new = made,                                                                                               \
        .tp_traverse = (traverseproc)traverse_##kind,                                                                 \
        .tp_clear = (inquiry)clear_##kind,                                                                            \
        .tp_dealloc = (destructor)dealloc_##kind,                                                                     \
        .tp_members = members_##kind,                                                                                 \
    };
#define MEMBER_OF(Struct, name) {#name, T_OBJECT_EX, offsetof(Struct, name), 0, NULL},
#define MEMBER_Stage(name, first) MEMBER_OF(Stage, name)
#define MEMBER_Prediction(name, first) MEMBER_OF(Prediction, name)
#define MEMBER_ServerSpan(name, first) MEMBER_OF(ServerSpan, name)
#define MEMBER_Request(name, first) MEMBER_OF(Request, name)
#define MEMBER_Result(name, first) MEMBER_OF(Result, name)

typedef struct {
    PyObject_HEAD
    STAGE_FIELDS(DECLARE_FIELD)
} Stage;

typedef struct {
    PyObject_HEAD
    PREDICTION_FIELDS(DECLARE_FIELD)
} Prediction;

typedef struct {
    Prediction base;
    SERVED_FIELDS(DECLARE_FIELD)
} Served;

typedef struct {
    PyObject_HEAD
    SERVER_SPAN_FIELDS(DECLARE_FIELD)
} ServerSpan;

typedef struct {
    PyObject_HEAD
    REQUEST_FIELDS(DECLARE_FIELD)
} Request;

typedef struct {
    PyObject_HEAD
    RESULT_FIELDS(DECLARE_FIELD)
} Result;

/* Kept for as long as the process lives. */
struct Own {
    PyObject *zero, *one, *empty, *flags;
    PyObject *variable, *context, *span_key, *prediction_key, *request_key, *beside, *failed;
    PyObject *direct, *own_span, *span_context, *all_flags, *no_state, *low;
    PyObject *stage_type, *stage_names, *stage_begin, *stage_exit;
    PyObject *prediction_type, *prediction_names, *prediction_begin, *prediction_exit, *prediction_stage,
        *prediction_outcome;
    PyObject *recorder_put;
    PyObject *served_type, *served_names, *served_done, *served_make_stages, *served_outcome, *here, *nowhere;
    PyObject *numpy, *array, *float64, *result, *dtype_name;
    PyObject *running, *outer, *switch_, *silent, *plan, *final_estimator, *serve, *libraries, *own_methods, *elsewhere,
        *frame_above;
};
extern struct Own own;

/* The same of HTTP: names of the modules `asgi` and `_http_requests`, what they have, and their methods in Python. */
struct Http {
    PyObject *asgi_names, *names, *header, *key, *methods, *schemes, *versions, *server_kind, *nano;
    PyObject *request, *span, *begin, *send, *finish;
    Py_ssize_t most_waiting;
};
extern struct Http http;

#define NAMES(X)                                                                                                      \
    X(perf_counter_ns) X(time_ns) X(active) X(spans) X(current) X(number) X(event_started) X(span_id) X(put)          \
    X(close) X(stages) X(start) X(started) X(_processors) X(_seen) X(_chosen) X(_always) X(_ids) X(_flags) X(method)  \
    X(framework) X(recorder) X(series) X(call) X(_settled) X(_identify) X(kind) X(labelled) X(classes_) X(copy)       \
    X(size) X(dtype) X(hasobject) X(get_span_context) X(_follows) X(on) X(finish) X(_since) X(_buffer) X(_wake_at)    \
    X(append) X(_endings) X(_expression) X(_fields) X(_propagator) X(propagate) X(get_global_textmap) X(_direct)       \
    X(processors) X(seen) X(_decide) X(_random) X(context) X(new_id) X(accept) X(facts) X(synthetic) X(root_path)      \
    X(metrics) X(routes) X(of_served) X(_find_series) X(encoded) X(tracer) X(resource) X(_home) X(_queue) X(_parts)    \
    X(_items) X(_closed) X(batch) X(_thread) X(put_parts) X(waiting) X(record) X(_fold) X(added) X(_active)   \
    X(scope) X(headers) X(path) X(scheme) X(server) X(http_version) X(type) X(status) X(more_body)                     \
    X(get_global_response_propagator) X(take) X(capture) X(rows) X(shape) X(input_shape) X(input_dtype) X(missing)     \
    X(classes) X(confidence) X(item) X(ndim) X(float64) X(inference) X(preprocessing) X(route) X(fastapi)    \
    X(effective_route_context) X(original_route) X(methods) X(_routes) X(_known) X(__name__) X(__dict__) X(attribute)  \
    X(_lock) X(label) X(acquire) X(release) X(capacity) X(_woken) X(_more_put) X(_more_taken)
#define DECLARE_NAME(name) extern PyObject *str_##name;
NAMES(DECLARE_NAME)

extern PyTypeObject StageFieldsType, PredictionFieldsType, ServedFieldsType, ServerSpanFieldsType, RequestFieldsType,
    ResultFieldsType, LastType;

/* module.c: an attribute, found quicker where it is a slot of the owner's class. */
PyObject *attribute(PyObject *owner, PyObject *name);
PyObject *answer_of(PyObject *owner, PyObject *name);

/* Whether an attribute is True, as those of ours that are set by Python are; -1 where it can't be told. */
static inline int is_true(PyObject *owner, PyObject *name)
{
    PyObject *found = attribute(owner, name);
    if (found == NULL) return -1;
    int is = PyObject_IsTrue(found);
    Py_DECREF(found);
    return is;
}

/* Whether an attribute is None; -1 where it can't be told. */
static inline int is_none(PyObject *owner, PyObject *name)
{
    PyObject *found = attribute(owner, name);
    Py_XDECREF(found);
    return found == NULL ? -1 : found == Py_None;
}

/* Whether an attribute is one and the same object in both; -1 where that can't be told. */
static inline int is_same(PyObject *one, PyObject *other, PyObject *name)
{
    PyObject *first = PyObject_GetAttr(one, name);
    PyObject *second = first == NULL ? NULL : PyObject_GetAttr(other, name);
    int same = second == NULL ? -1 : first == second;
    Py_XDECREF(first);
    Py_XDECREF(second);
    return same;
}

static inline int is_text(PyObject *text, const char *expected)
{
    return PyUnicode_Check(text) && PyUnicode_CompareWithASCIIString(text, expected) == 0;
}

/* Forgets a fault that Python will find again; -1 where it is no `Exception`, such as an interrupt. */
static inline int forget(void)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyErr_Clear();
    return 0;
}

/* Puts a new value, whose reference it takes, in place of the one before; NULL is a failure, and changes nothing. */
static inline int set(PyObject **place, PyObject *value)
{
    if (value == NULL) return -1;
    PyObject *before = *place;
    *place = value;
    Py_XDECREF(before);
    return 0;
}

static inline int is_zero(PyObject *number)
{
    return number == own.zero;
}

static inline int is_plain(PyObject *prediction)
{
    return prediction != NULL && (PyObject *)Py_TYPE(prediction) == own.prediction_type;
}

/* contexts.c: those of OpenTelemetry. */
PyObject *current_context(void);
PyObject *context_with(PyObject *context, PyObject *span, PyObject *key, PyObject *value);
PyObject *attached(PyObject *context, PyObject *span, PyObject *prediction);
int go_back(PyObject **place);
PyObject *request_id_in(PyObject *context);

/* module.c */
PyObject *clock_of(PyObject *names, PyObject *name);
int guarded(const char *site);
PyObject *in_python(PyObject *method, PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names);
int replace_methods(PyObject *type, PyMethodDef *methods);
PyObject *replace_one(PyObject *type, PyMethodDef *methods, PyObject **in_python);

/* columns.c: writes a number that is not negative, its highest byte first; -1 where there is no room. */
int put_unsigned(char *at, PyObject *number, size_t size);

/* predictions.c */
int choose_way(Prediction *self);
int take_ids(Prediction *self, PyObject *around);
int set_active(Prediction *self, int open);
int put_away(Prediction *self);
PyObject *new_stage(Prediction *self, PyObject *name);

/* requests.c: asks a function of a module that is known by a name among `names`. */
PyObject *ask_module(PyObject *names, PyObject *module, PyObject *name, PyObject *given);

/* responses.c */
PyObject *length_of(PyObject *header);
extern PyMethodDef request_methods[];

/* What otelml hands over, in the file that needs it. */
PyObject *use_ids(PyObject *module, PyObject *random);
PyObject *use_sentences(PyObject *module, PyObject *in_python);
PyObject *use_columns(PyObject *module, PyObject *in_python);
PyObject *use_facts(PyObject *module, PyObject *args);
PyObject *use_measurements(PyObject *module, PyObject *args);
extern PyMethodDef context_functions[], encoding_functions[], column_functions[];
PyObject *use_stage(PyObject *module, PyObject *args);
PyObject *use_prediction(PyObject *module, PyObject *args);
PyObject *use_direct(PyObject *module, PyObject *args);
PyObject *use_recorder(PyObject *module, PyObject *type);
PyObject *use_served(PyObject *module, PyObject *args);
PyObject *use_calls(PyObject *module, PyObject *args);
PyObject *use_message(PyObject *module, PyObject *args);
PyObject *use_queue(PyObject *module, PyObject *type);
PyObject *use_requests(PyObject *module, PyObject *args);

/* rows.c */
int read_row(Served *self, PyObject *answer, PyObject *inputs, PyObject *final, PyObject **result);

/* served.c */
#define SMALL 128 /* `_sklearn_outputs.SMALL` */
int is_array(PyObject *object);
PyObject *served_stages(PyObject *self);
PyObject *served_begun(PyObject *plan, PyObject *around, PyObject *waiting);
PyObject *served_done(PyObject *self, PyObject *const *args, Py_ssize_t n);

#endif

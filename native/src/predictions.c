/* Predictions: their beginning, their end and the stages they make, as `otelml.prediction.Prediction` has them. */

#include "native.h"

FIELDS_TYPE(Prediction, PREDICTION_FIELDS, PredictionFields, prediction_new, "What a prediction holds.")

/* Used by those of libraries as well --------------------------------------------------------------------------- */

/* Adds it to those in flight, or takes it out. */
int set_active(Prediction *self, int open)
{
    PyObject *active = attribute(self->series, str_active), *id = PyLong_FromVoidPtr(self);
    int done = -1;
    if (active != NULL && id != NULL) done = open ? PySet_Add(active, id) : PySet_Discard(active, id);
    Py_XDECREF(active);
    Py_XDECREF(id);
    return done < 0 ? -1 : 0;
}

/* Takes `sink.spans.current`, whose common case is one comparison. */
int choose_way(Prediction *self)
{
    PyObject *spans = attribute(self->sink, str_spans), *now = NULL, *seen = NULL, *way = NULL;
    if (spans == NULL) return -1;
    now = answer_of(spans, str__processors);
    if (now != NULL) seen = attribute(spans, str__seen);
    if (seen != NULL) way = attribute(spans, now == seen ? str__chosen : str_current);
    Py_DECREF(spans);
    Py_XDECREF(now);
    Py_XDECREF(seen);
    return set(&self->way, way);
}

/* Takes new ids for a span that nothing is above, where every one is sampled. */
static int take_new_ids(Prediction *self)
{
    int always = is_true(self->way, str__always);
    if (always <= 0) return always;
    PyObject *flags = attribute(self->way, str__flags);
    PyObject *ids = flags == NULL ? NULL : answer_of(self->way, str__ids);
    if (ids == NULL) {
        Py_XDECREF(flags);
        return -1;
    }
    set(&self->ids, ids);
    set(&self->flags, flags);
    set(&self->sampled, Py_NewRef(Py_True));
    return 1;
}

/* Returns the trace id of `above` and a new span id, as one number. */
static PyObject *ids_below(Prediction *self, PyObject *above)
{
    PyObject *bits = PyLong_FromLong(64), *high = NULL, *low = NULL, *ids = NULL;
    if (bits != NULL) high = PyNumber_Lshift(PyTuple_GET_ITEM(above, 0), bits);
    if (high != NULL) low = answer_of(self->way, str_span_id);
    if (low != NULL) ids = PyNumber_Or(high, low);
    Py_XDECREF(bits);
    Py_XDECREF(high);
    Py_XDECREF(low);
    return ids;
}

/* Returns the context of a request's span that nothing is above, as `_server_spans._context_of` makes it; NULL without
 * an error where its ids may be invalid. */
static PyObject *context_of(ServerSpan *span)
{
    PyTypeObject *type = (PyTypeObject *)own.span_context;
    PyObject *bits = PyLong_FromLong(64), *trace = NULL, *id = NULL, *made = NULL;
    if (bits != NULL) trace = PyNumber_Rshift(span->ids, bits);
    if (trace != NULL) id = PyNumber_And(span->ids, own.low);
    if (id != NULL && !is_zero(trace) && !is_zero(id)) made = type->tp_alloc(type, 6);
    if (made != NULL) {
        PyObject *fields[] = {trace, id, Py_False, span->flags, own.no_state, Py_True};
        for (Py_ssize_t i = 0; i < 6; i++) PyTuple_SET_ITEM(made, i, Py_NewRef(fields[i]));
    }
    Py_XDECREF(bits);
    Py_XDECREF(trace);
    Py_XDECREF(id);
    return made;
}

/* Returns the context of a span of ours. */
static PyObject *context_in(PyObject *span)
{
    if (http.span != NULL && (PyObject *)Py_TYPE(span) == http.span && ((ServerSpan *)span)->parent == Py_None) {
        PyObject *made = context_of((ServerSpan *)span);
        if (made != NULL || PyErr_Occurred()) return made;
    }
    return PyObject_CallMethodNoArgs(span, str_get_span_context);
}

/* Takes the trace of the span above and its decision: where the sampler follows it, and there is no trace state. */
static int take_ids_below(Prediction *self, PyObject *span)
{
    int follows = is_true(self->way, str__follows);
    if (follows <= 0) return follows;
    PyObject *above = context_in(span);
    if (above == NULL) return -1;
    int done = 0;
    if (Py_TYPE(above) == (PyTypeObject *)own.span_context && PyTuple_GET_ITEM(above, 5) == Py_True &&
        (PyTuple_GET_ITEM(above, 4) == own.no_state || PyObject_IsTrue(PyTuple_GET_ITEM(above, 4)) == 0)) {
        long flags = PyLong_AsLong(PyTuple_GET_ITEM(above, 3));
        PyObject *ids = flags < 0 ? NULL : ids_below(self, above);
        done = ids == NULL ? -1 : 1;
        if (done == 1 && is_zero(self->ids)) { /* else somebody has looked at it meanwhile */
            set(&self->ids, Py_NewRef(ids));
            set(&self->parent, Py_NewRef(above));
            set(&self->flags, Py_NewRef(PyTuple_GET_ITEM(own.all_flags, flags & 3)));
            set(&self->sampled, Py_NewRef(flags & 1 ? Py_True : Py_False));
        }
        Py_XDECREF(ids);
    }
    Py_DECREF(above);
    return PyErr_Occurred() ? -1 : done;
}

/* Takes ids, and the decision whether it is sampled, as `DirectSpans.start` does; 0 where that is to do it. */
int take_ids(Prediction *self, PyObject *around)
{
    if ((PyObject *)Py_TYPE(self->way) != own.direct || own.span_context == NULL) return 0;
    PyObject *span = PyDict_GetItemWithError(around, own.span_key);
    if (span == NULL) return PyErr_Occurred() ? -1 : take_new_ids(self);
    if (!PyObject_TypeCheck(span, (PyTypeObject *)own.own_span)) return 0;
    Py_INCREF(span);
    int done = take_ids_below(self, span);
    Py_DECREF(span);
    return done;
}

/* Hands it to the recorder. */
int put_away(Prediction *self)
{
    PyObject *done = PyObject_CallMethodOneArg(self->sink, str_put, (PyObject *)self);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Beginning and end -------------------------------------------------------------------------------------------- */

static int take_times(Prediction *self, PyObject **wall)
{
    if ((*wall = clock_of(own.prediction_names, str_time_ns)) == NULL) return -1;
    if (set(&self->started, clock_of(own.prediction_names, str_perf_counter_ns)) < 0) return -1;
    return set(&self->offset, PyNumber_Subtract(*wall, self->started));
}

static int start_span(Prediction *self, PyObject *current, PyObject *wall)
{
    int done = take_ids(self, current);
    if (done != 0) return done;
    PyObject *args[] = {self->way, (PyObject *)self, current, wall};
    PyObject *nothing = PyObject_VectorcallMethod(str_start, args, 4, NULL);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 0;
}

static int tell_start(Prediction *self)
{
    int is_wanted = is_true(self->sink, str_event_started);
    if (is_wanted <= 0) return is_wanted;
    PyObject *nothing = PyObject_CallMethodOneArg(self->sink, str_started, (PyObject *)self);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 0;
}

static int begin_in(Prediction *self, PyObject *current, PyObject *wall)
{
    if (set(&self->request_id, request_id_in(current)) < 0 || set_active(self, 1) < 0) return -1;
    if (is_zero(self->number) && set(&self->number, answer_of(self->sink, str_number)) < 0) return -1;
    if (choose_way(self) < 0 || start_span(self, current, wall) < 0) return -1;
    PyObject *span = self->other == Py_None ? (PyObject *)self : self->other;
    if (set(&self->_token, attached(current, span, (PyObject *)self)) < 0) return -1;
    return tell_start(self);
}

static int begin(Prediction *self)
{
    PyObject *wall = NULL, *current = NULL;
    int done = take_times(self, &wall);
    if (done == 0 && (current = current_context()) == NULL) done = -1;
    if (done == 0) done = begin_in(self, current, wall);
    Py_XDECREF(wall);
    Py_XDECREF(current);
    return done;
}

static PyObject *prediction_begin(PyObject *object, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    Prediction *self = (Prediction *)object;
    int common = n == 0 && names == NULL && is_plain(object) && self->sink != NULL && self->series != NULL;
    if (!common || !is_zero(self->started) || self->request_id != Py_None)
        return in_python(own.prediction_begin, object, args, n, names);
    if (begin(self) < 0 && guarded("prediction.begin") < 0) return NULL;
    return Py_NewRef(object);
}

static PyObject *prediction_enter(PyObject *self, PyObject *nothing)
{
    return prediction_begin(self, NULL, 0, NULL);
}

/* Ends the stages that outlive their prediction. */
static int close_stages(Prediction *self)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(self->stages); i++) {
        PyObject *stage = PyList_GET_ITEM(self->stages, i);
        if ((PyObject *)Py_TYPE(stage) == own.stage_type && !is_zero(((Stage *)stage)->ended)) continue;
        Py_INCREF(stage);
        PyObject *nothing = PyObject_CallMethodNoArgs(stage, str_close);
        Py_DECREF(stage);
        Py_XDECREF(nothing);
        if (nothing == NULL) return -1;
    }
    return 0;
}

static PyObject *prediction_exit(PyObject *object, PyObject *const *args, Py_ssize_t n)
{
    Prediction *self = (Prediction *)object;
    int common = n == 3 && args[1] == Py_None && is_plain(object) && self->stages != NULL;
    if (!common || !is_zero(self->ended) || is_zero(self->started) || !PyList_CheckExact(self->stages))
        return in_python(own.prediction_exit, object, args, n, NULL);
    if (set(&self->ended, clock_of(own.prediction_names, str_perf_counter_ns)) < 0) return NULL;
    int done = go_back(&self->_token);
    if (done == 0) done = set_active(self, 0);
    if (done == 0) done = close_stages(self);
    if (done == 0) done = put_away(self);
    if (done < 0 && guarded("prediction.finish") < 0) return NULL;
    Py_RETURN_NONE;
}

/* Makes a stage whose name is known; NULL without an error where it is not. */
PyObject *new_stage(Prediction *self, PyObject *name)
{
    PyObject *stages = attribute(self->series, str_stages);
    if (stages == NULL) return NULL;
    PyObject *known = Py_XNewRef(PyDict_GetItemWithError(stages, name));
    Py_DECREF(stages);
    if (known == NULL) return NULL;
    Stage *made = (Stage *)StageFieldsType.tp_new((PyTypeObject *)own.stage_type, NULL, NULL);
    if (made != NULL) {
        made->prediction = Py_NewRef((PyObject *)self);
        made->known = Py_NewRef(known);
    }
    Py_DECREF(known);
    return (PyObject *)made;
}

static PyObject *prediction_stage(PyObject *object, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    Prediction *self = (Prediction *)object;
    if (n == 1 && names == NULL && PyUnicode_CheckExact(args[0]) && self->series != NULL) {
        PyObject *made = new_stage(self, args[0]);
        if (made != NULL || PyErr_Occurred()) return made;
    }
    return in_python(own.prediction_stage, object, args, n, names);
}

static PyObject *prediction_outcome(PyObject *object, PyObject *nothing)
{
    Prediction *self = (Prediction *)object;
    if (self->_result == Py_None) return Py_NewRef(self->_observed);
    return PyObject_CallOneArg(own.prediction_outcome, object);
}

static PyMethodDef methods[] = {
    {"begin", (PyCFunction)(void (*)(void))prediction_begin, METH_FASTCALL | METH_KEYWORDS,
     "begin($self, /, *, attach=True)\n--\n\n"
     "Start the prediction; with ``attach`` its span becomes the current one."},
    {"__enter__", prediction_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))prediction_exit, METH_FASTCALL,
     "__exit__($self, kind, error, tb, /)\n--\n\n"
     "End the prediction and hand it to the recorder; ``error`` is the exception that ended it."},
    {"stage", (PyCFunction)(void (*)(void))prediction_stage, METH_FASTCALL | METH_KEYWORDS,
     "stage($self, /, name)\n--\n\n"
     "Return a stage to enter: feature_retrieval, preprocessing, inference, postprocessing or a name of your own.\n\n"
     "Names of your own are bounded: from the 21st distinct one on they count as ``other``."},
    {"outcome", prediction_outcome, METH_NOARGS,
     "outcome($self, /)\n--\n\n"
     "Return what is known of inputs and outputs: what the application said, completed by what libraries saw."},
    {NULL},
};

PyObject *use_prediction(PyObject *module, PyObject *args)
{
    PyObject *type, *names, *key, *flags, *request_key, *beside, *failed;
    if (!PyArg_ParseTuple(args, "O!O!UOUO!O", &PyType_Type, &type, &PyDict_Type, &names, &key, &flags, &request_key,
                          &PyContextVar_Type, &beside, &failed))
        return NULL;
    if (set(&own.prediction_begin, PyObject_GetAttrString(type, "begin")) < 0 ||
        set(&own.prediction_exit, PyObject_GetAttrString(type, "__exit__")) < 0 ||
        set(&own.prediction_stage, PyObject_GetAttrString(type, "stage")) < 0 ||
        set(&own.prediction_outcome, PyObject_GetAttrString(type, "outcome")) < 0 || replace_methods(type, methods) < 0)
        return NULL;
    set(&own.prediction_type, Py_NewRef(type));
    set(&own.prediction_names, Py_NewRef(names));
    set(&own.prediction_key, Py_NewRef(key));
    set(&own.flags, Py_NewRef(flags));
    set(&own.request_key, Py_NewRef(request_key));
    set(&own.beside, Py_NewRef(beside));
    set(&own.failed, Py_NewRef(failed));
    Py_RETURN_NONE;
}

PyObject *use_direct(PyObject *module, PyObject *args)
{
    PyObject *direct, *own_span, *context, *flags, *no_state;
    if (!PyArg_ParseTuple(args, "O!O!O!O!O", &PyType_Type, &direct, &PyType_Type, &own_span, &PyType_Type, &context,
                          &PyTuple_Type, &flags, &no_state))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)context, &PyTuple_Type) || PyTuple_GET_SIZE(flags) != 4) {
        PyErr_SetString(PyExc_TypeError, "use_direct() takes span contexts that are tuples, and four flags");
        return NULL;
    }
    set(&own.direct, Py_NewRef(direct));
    set(&own.own_span, Py_NewRef(own_span));
    set(&own.span_context, Py_NewRef(context));
    set(&own.all_flags, Py_NewRef(flags));
    set(&own.no_state, Py_NewRef(no_state));
    Py_RETURN_NONE;
}

/* The recorder's side ------------------------------------------------------------------------------------------ */

/* Puts it into the buffer where that is nearly empty; 0 where Python is to look closer. */
static int put_in(PyObject *recorder, Prediction *p)
{
    if (!is_zero(p->kept)) return 0;
    PyObject *since = attribute(recorder, str__since), *buffer = NULL, *wake_at = NULL;
    int done = since == NULL ? -1 : PyObject_RichCompareBool(p->started, since, Py_GE);
    if (done == 1) buffer = attribute(recorder, str__buffer);
    if (buffer != NULL) wake_at = attribute(recorder, str__wake_at);
    if (wake_at != NULL) {
        Py_ssize_t waiting = PyObject_Size(buffer), most = PyLong_AsSsize_t(wake_at);
        done = waiting >= 0 && waiting < most;
        PyObject *nothing = done ? PyObject_CallMethodOneArg(buffer, str_append, (PyObject *)p) : NULL;
        Py_XDECREF(nothing);
    }
    Py_XDECREF(since);
    Py_XDECREF(buffer);
    Py_XDECREF(wake_at);
    return PyErr_Occurred() ? -1 : done;
}

static PyObject *recorder_put(PyObject *self, PyObject *prediction)
{
    int done = 0;
    if (PyObject_TypeCheck(prediction, &PredictionFieldsType)) done = put_in(self, (Prediction *)prediction);
    if (done < 0) return NULL;
    if (done == 0) return in_python(own.recorder_put, self, &prediction, 1, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef recorder_methods[] = {
    {"put", recorder_put, METH_O,
     "put($self, prediction, /)\n--\n\n"
     "Take an ended prediction. Never blocks, but where the buffer is twice over its size."},
    {NULL},
};

PyObject *use_recorder(PyObject *module, PyObject *type)
{
    return replace_one(type, recorder_methods, &own.recorder_put);
}

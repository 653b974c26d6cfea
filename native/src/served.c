/* Calls of scikit-learn: their beginning and end, as `otelml.integrations._sklearn_served.Served` has them. */

#include "native.h"

static PyObject *served_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Served *self = (Served *)PredictionFieldsType.tp_new(type, args, kwargs);
    if (self != NULL) {
        SERVED_FIELDS(SET_FIELD)
    }
    return (PyObject *)self;
}

static int traverse(Served *self, visitproc visit, void *arg)
{
    SERVED_FIELDS(VISIT_FIELD)
    return PredictionFieldsType.tp_traverse((PyObject *)self, visit, arg);
}

static int clear(Served *self)
{
    SERVED_FIELDS(CLEAR_FIELD)
    return PredictionFieldsType.tp_clear((PyObject *)self);
}

static void dealloc(Served *self)
{
    PyObject_GC_UnTrack(self);
    clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

#define MEMBER(name, first) {#name, T_OBJECT_EX, offsetof(Served, name), 0, NULL},
static PyMemberDef members[] = {SERVED_FIELDS(MEMBER){NULL}};

PyTypeObject ServedFieldsType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "otelml_native.ServedFields",
    .tp_doc = "What a call of scikit-learn holds.",
    .tp_base = &PredictionFieldsType,
    .tp_basicsize = sizeof(Served),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = served_new,
    .tp_traverse = (traverseproc)traverse,
    .tp_clear = (inquiry)clear,
    .tp_dealloc = (destructor)dealloc,
    .tp_members = members,
};

/* Beginning ---------------------------------------------------------------------------------------------------- */

static int take_plan(Served *self)
{
    Prediction *p = &self->base;
    return set(&p->operation, attribute(self->plan, str_method)) < 0 ||
                   set(&p->framework, attribute(self->plan, str_framework)) < 0 ||
                   set(&p->sink, attribute(self->plan, str_recorder)) < 0 ||
                   set(&p->series, attribute(self->plan, str_series)) < 0
               ? -1
               : 0;
}

static int take_times(Prediction *p)
{
    if (set(&p->started, clock_of(own.prediction_names, str_perf_counter_ns)) < 0) return -1;
    PyObject *wall = clock_of(own.prediction_names, str_time_ns);
    if (wall == NULL) return -1;
    int done = set(&p->offset, PyNumber_Subtract(wall, p->started));
    Py_DECREF(wall);
    return done;
}

/* Returns what is to be current: what stands for the stage that is open, or the tracer's own span. */
static PyObject *span_of(Served *self)
{
    int is_wanted = is_true(self->base.sink, str_event_started);
    if (is_wanted < 0) return NULL;
    if (is_wanted || (PyObject *)Py_TYPE(self->base.way) != own.direct)
        return PyObject_CallMethodNoArgs((PyObject *)self, str__settled);
    PyObject *here = PyObject_CallNoArgs(own.here);
    if (here != NULL && PyObject_SetAttr(here, str_call, (PyObject *)self) < 0) Py_CLEAR(here);
    return here;
}

static int served_init(PyObject *object, PyObject *const *args, Py_ssize_t n)
{
    Served *self = (Served *)object;
    Prediction *p = &self->base;
    if (n != 3 || !PyDict_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "a call of scikit-learn takes a plan, a context and an estimator");
        return -1;
    }
    set(&self->plan, Py_NewRef(args[0]));
    set(&self->around, Py_NewRef(args[1]));
    set(&self->waiting, Py_NewRef(args[2]));
    set(&self->two, Py_NewRef(args[2] == Py_None ? Py_False : Py_True));
    if (take_plan(self) < 0 || set(&p->request_id, request_id_in(self->around)) < 0 || take_times(p) < 0) return -1;
    if (choose_way(p) < 0 || set_active(p, 1) < 0) return -1;
    PyObject *span = span_of(self);
    if (span == NULL) return -1;
    int done = set(&p->_token, attached(self->around, span, object));
    Py_DECREF(span);
    return done;
}

/* Returns a new call, begun. */
PyObject *served_begun(PyObject *plan, PyObject *around, PyObject *waiting)
{
    PyObject *args[] = {plan, around, waiting}, *made = served_new((PyTypeObject *)own.served_type, NULL, NULL);
    if (made != NULL && served_init(made, args, 3) < 0) Py_CLEAR(made);
    return made;
}

static PyObject *served_begin(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (served_init(self, args, n) < 0) return NULL;
    Py_RETURN_NONE;
}

/* When somebody looks, or the recorder ------------------------------------------------------------------------- */

/* Takes the span's ids, once. */
static int identify(Served *self)
{
    if (!is_zero(self->base.ids)) return 0;
    int done = take_ids(&self->base, self->around);
    if (done != 0) return done < 0 ? -1 : 0;
    PyObject *nothing = PyObject_CallMethodNoArgs((PyObject *)self, str__identify);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 0;
}

/* Whether it has ended, and its spans are our own. */
static int is_over(Served *self)
{
    Prediction *p = &self->base;
    return self->made == Py_None && !is_zero(p->ended) && p->other == Py_None && p->way != NULL &&
           (PyObject *)Py_TYPE(p->way) == own.direct;
}

/* Adds a stage that began at a time; NULL without an error where its name is new to the model. */
static Stage *add_stage(Served *self, PyObject *stages, PyObject *name, PyObject *started)
{
    Prediction *p = &self->base;
    Stage *stage = (Stage *)new_stage(p, name);
    if (stage == NULL) return NULL;
    set(&stage->started, Py_NewRef(started));
    int done = p->sampled == Py_True ? set(&stage->span_id, answer_of(p->way, str_span_id)) : 0;
    if (done == 0) done = PyList_Append(stages, (PyObject *)stage);
    Py_DECREF(stage); /* the list has it */
    return done < 0 ? NULL : stage;
}

/* Returns the last of its stages, added to `stages`. */
static Stage *add_stages(Served *self, PyObject *stages)
{
    Prediction *p = &self->base;
    Stage *last = add_stage(self, stages, self->two == Py_True ? str_preprocessing : str_inference, p->started);
    if (last != NULL && !is_zero(self->turned)) {
        set(&last->ended, Py_NewRef(self->turned));
        last = add_stage(self, stages, str_inference, self->turned);
    }
    if (last != NULL) set(&last->ended, Py_NewRef(p->ended));
    return last;
}

static PyObject *served_make_stages(PyObject *object, PyObject *nothing)
{
    Served *self = (Served *)object;
    Prediction *p = &self->base;
    if (!is_over(self)) return PyObject_CallOneArg(own.served_make_stages, object);
    int done = is_zero(p->number) ? set(&p->number, answer_of(p->sink, str_number)) : 0;
    if (done == 0) done = identify(self);
    PyObject *stages = done < 0 ? NULL : PyList_New(0);
    Stage *last = stages == NULL ? NULL : add_stages(self, stages);
    if (last != NULL) {
        set(&self->step, Py_NewRef((PyObject *)last));
        set(&self->made, Py_NewRef(stages));
    }
    Py_XDECREF(stages);
    if (PyErr_Occurred() && forget() < 0) return NULL;
    return last == NULL ? PyObject_CallOneArg(own.served_make_stages, object) : Py_NewRef(Py_None);
}

static PyObject *make_locked(Served *self)
{
    if (self->made != Py_None) return Py_NewRef(self->made);
    PyObject *nothing = served_make_stages((PyObject *)self, NULL);
    Py_XDECREF(nothing);
    return nothing == NULL ? NULL : Py_NewRef(self->made);
}

/* Returns its stages, as the property of that name does. */
PyObject *served_stages(PyObject *object)
{
    Served *self = (Served *)object;
    if (self->made != Py_None) return Py_NewRef(self->made);
    PyObject *lock = Py_XNewRef(PyDict_GetItemWithError(own.served_names, str__lock)), *found = NULL;
    PyObject *taken = lock == NULL ? NULL : PyObject_CallMethodNoArgs(lock, str_acquire);
    if (taken != NULL) {
        found = make_locked(self);
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        Py_XDECREF(PyObject_CallMethodNoArgs(lock, str_release));
        if (type != NULL) PyErr_Restore(type, error, trace);
        else if (PyErr_Occurred()) Py_CLEAR(found);
    }
    Py_XDECREF(taken);
    Py_XDECREF(lock);
    return found;
}

/* End ---------------------------------------------------------------------------------------------------------- */

/* Whether it is an array of numpy's own class; -1 where that can't be told. */
int is_array(PyObject *object)
{
    if (own.array == NULL && set(&own.array, PyObject_GetAttrString(own.numpy, "ndarray")) < 0) return -1;
    return (PyObject *)Py_TYPE(object) == own.array;
}

/* Whether it is a small array of numbers; -1 where that can't be told. */
static int is_small(PyObject *array)
{
    int is = is_array(array);
    if (is <= 0) return is;
    PyObject *number = PyObject_GetAttr(array, str_size);
    if (number == NULL) return -1;
    Py_ssize_t size = PyLong_AsSsize_t(number);
    Py_DECREF(number);
    if (size > SMALL || PyErr_Occurred()) return size > SMALL ? 0 : -1;
    PyObject *dtype = PyObject_GetAttr(array, str_dtype);
    if (dtype == NULL) return -1;
    PyObject *objects = PyObject_GetAttr(dtype, str_hasobject);
    Py_DECREF(dtype);
    if (objects == NULL) return -1;
    int found = objects == Py_False;
    Py_DECREF(objects);
    return found;
}

/* Whether the copies are made here and read later, as nearly always; -1 where that can't be told. */
static int is_common(Served *self, PyObject *result, PyObject *inputs)
{
    int small = is_small(result);
    if (small == 1) small = is_small(inputs);
    if (small != 1) return small;
    PyObject *kind = attribute(self->plan, str_kind);
    if (kind == NULL) return -1;
    int asks = is_text(kind, "ask");
    Py_DECREF(kind);
    return !asks;
}

/* Returns a copy of the labels of an estimator's classes; None where it has none. */
static PyObject *labels_of(Served *self, PyObject *final)
{
    PyObject *labelled = attribute(self->plan, str_labelled);
    if (labelled == NULL) return NULL;
    Py_DECREF(labelled);
    if (labelled != Py_True) return Py_NewRef(Py_None);
    PyObject *labels = PyObject_GetAttr(final, str_classes_);
    if (labels == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return NULL;
        PyErr_Clear();
        return Py_NewRef(Py_None);
    }
    PyObject *copy = Py_NewRef(Py_None);
    if ((PyObject *)Py_TYPE(labels) == own.array) Py_SETREF(copy, PyObject_CallMethodNoArgs(labels, str_copy));
    Py_DECREF(labels);
    return copy;
}

static PyObject *copies(Served *self, PyObject *result, PyObject *inputs, PyObject *final)
{
    PyObject *answer = NULL, *labels = NULL, *given = NULL, *seen = NULL;
    answer = PyObject_CallMethodNoArgs(result, str_copy);
    if (answer != NULL) labels = labels_of(self, final);
    if (labels != NULL) given = PyObject_CallMethodNoArgs(inputs, str_copy);
    if (given != NULL) seen = PyTuple_Pack(3, answer, labels, given);
    Py_XDECREF(answer);
    Py_XDECREF(labels);
    Py_XDECREF(given);
    return seen;
}

/* Goes back to the context from before and hands it over, with nothing that the garbage collector would go through. */
static int leave(Served *self)
{
    Prediction *p = &self->base;
    if (go_back(&p->_token) < 0 || identify(self) < 0) return -1;
    set(&self->waiting, Py_NewRef(Py_None));
    set(&self->around, Py_NewRef(own.nowhere));
    return set_active(p, 0) < 0 ? -1 : put_away(p);
}

/* Takes note of what is plain, and copies of whatever is left to the recorder's thread to read; -1 where it failed. */
static int take_seen(Served *self, PyObject *result, PyObject *inputs, PyObject *final, PyObject *read)
{
    if (read != NULL) return set(&self->base._observed, Py_NewRef(read));
    return set(&self->seen, copies(self, result, inputs, final));
}

/* Ends it with what was read, or is left to be; with the error that is set, where there is one. */
static int finish(Served *self, PyObject *const *args, PyObject *read)
{
    int taken = PyErr_Occurred() ? -1 : take_seen(self, args[0], args[1], args[2], read);
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    int left = leave(self);
    if (taken < 0 && left == 0) PyErr_Restore(type, error, trace);
    else {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(trace);
    }
    return taken < 0 || left < 0 ? -1 : 0;
}

/* Reads a plain row. 1: that is done, or it is to be copied, or an interrupt is set; 0: Python is to end it, -1: that
 * can't be told. */
static int look_at(Served *self, PyObject *const *args, Py_ssize_t n, PyObject **read)
{
    if (n != 3 || self->made != Py_None || self->plan == NULL) return 0;
    int done = read_row(self, args[0], args[1], args[2], read);
    if (done == 1 || (done < 0 && forget() < 0)) return 1;
    return is_common(self, args[0], args[1]);
}

PyObject *served_done(PyObject *object, PyObject *const *args, Py_ssize_t n)
{
    Served *self = (Served *)object;
    PyObject *read = NULL, *now = clock_of(own.prediction_names, str_perf_counter_ns);
    if (now == NULL) return NULL;
    if (look_at(self, args, n, &read) != 1) {
        Py_DECREF(now);
        return forget() < 0 ? NULL : in_python(own.served_done, object, args, n, NULL);
    }
    set(&self->base.ended, now);
    int done = finish(self, args, read);
    Py_XDECREF(read);
    if (done < 0 && guarded("sklearn.finish") < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *served_outcome(PyObject *object, PyObject *nothing)
{
    Served *self = (Served *)object;
    if (self->seen == Py_None && self->base._result == Py_None) return Py_NewRef(self->base._observed);
    return PyObject_CallOneArg(own.served_outcome, object);
}

static PyMethodDef methods[] = {
    {"__init__", (PyCFunction)(void (*)(void))served_begin, METH_FASTCALL, NULL},
    {"done", (PyCFunction)(void (*)(void))served_done, METH_FASTCALL,
     "done($self, result, inputs, final, /)\n--\n\n"
     "End it with what it was given and gave: copies of what is small, while the rest is read at once."},
    {"_make_stages", served_make_stages, METH_NOARGS, NULL},
    {"outcome", served_outcome, METH_NOARGS,
     "outcome($self, /)\n--\n\nReturn what is known, having read what was predicted."},
    {NULL},
};

PyObject *use_served(PyObject *module, PyObject *args)
{
    PyObject *type, *names, *here, *nowhere, *numpy, *result, *dtype_name;
    if (!PyArg_ParseTuple(args, "O!O!O!OOO!O", &PyType_Type, &type, &PyDict_Type, &names, &PyType_Type, &here, &nowhere,
                          &numpy, &PyType_Type, &result, &dtype_name))
        return NULL;
    if (set(&own.served_done, PyObject_GetAttrString(type, "done")) < 0 ||
        set(&own.served_make_stages, PyObject_GetAttrString(type, "_make_stages")) < 0 ||
        set(&own.served_outcome, PyObject_GetAttrString(type, "outcome")) < 0 || replace_methods(type, methods) < 0)
        return NULL;
    set(&own.served_type, Py_NewRef(type));
    set(&own.served_names, Py_NewRef(names));
    set(&own.here, Py_NewRef(here));
    set(&own.nowhere, Py_NewRef(nowhere));
    set(&own.numpy, Py_NewRef(numpy)); /* imported by the first call, not by us */
    set(&own.result, Py_NewRef(result));
    set(&own.dtype_name, Py_NewRef(dtype_name));
    Py_RETURN_NONE;
}

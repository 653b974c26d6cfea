/* HTTP requests: what they send and their end, as `otelml.integrations._http_requests.Request` has them. The common one
 * is answered without an error, and nobody adds anything to its span. */

#include "native.h"

#define MOST_DIGITS 18 /* `_request_facts._MOST_DIGITS` */

/* What the application sends --------------------------------------------------------------------------------------- */

static int is_length(PyObject *name)
{
    return PyBytes_GET_SIZE(name) == 14 && memcmp(PyBytes_AS_STRING(name), "content-length", 14) == 0;
}

/* Whether headers are as usual, and none of them may be the request id's: `length` is that of the content, borrowed. */
static int is_usual(PyObject *headers, PyObject **length)
{
    if (headers == NULL || !PyList_CheckExact(headers)) return 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(headers); i++) {
        PyObject *pair = PyList_GET_ITEM(headers, i), *name, *value;
        int two = (PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2) ||
                  (PyList_CheckExact(pair) && PyList_GET_SIZE(pair) == 2);
        if (!two) return 0;
        name = PySequence_Fast_GET_ITEM(pair, 0);
        value = PySequence_Fast_GET_ITEM(pair, 1);
        if (!PyBytes_CheckExact(name) || !PyBytes_CheckExact(value)) return 0;
        if (PyBytes_GET_SIZE(name) == PyBytes_GET_SIZE(http.header) &&
            PyOS_stricmp(PyBytes_AS_STRING(name), PyBytes_AS_STRING(http.header)) == 0)
            return 0;
        if (is_length(name)) *length = value;
    }
    return 1;
}

/* Returns headers with the request id after them. */
static PyObject *with_id(PyObject *headers, PyObject *id)
{
    Py_ssize_t n = PyList_GET_SIZE(headers);
    PyObject *text = PyUnicode_AsUTF8String(id), *pair = text == NULL ? NULL : PyTuple_Pack(2, http.header, text);
    PyObject *made = pair == NULL ? NULL : PyList_New(n + 1);
    for (Py_ssize_t i = 0; made != NULL && i < n; i++)
        PyList_SET_ITEM(made, i, Py_NewRef(PyList_GET_ITEM(headers, i)));
    if (made != NULL) PyList_SET_ITEM(made, n, Py_NewRef(pair));
    Py_XDECREF(text);
    Py_XDECREF(pair);
    return made;
}

/* Returns the number that a header says, as `_request_facts.size` does. */
PyObject *length_of(PyObject *header)
{
    Py_ssize_t n = PyBytes_CheckExact(header) ? PyBytes_GET_SIZE(header) : 0;
    long long size = 0;
    if (n < 1 || n > MOST_DIGITS) return ask_module(http.names, str_facts, str_size, header);
    for (Py_ssize_t i = 0; i < n; i++) {
        char digit = PyBytes_AS_STRING(header)[i];
        if (digit < '0' || digit > '9') Py_RETURN_NONE;
        size = 10 * size + (digit - '0');
    }
    return PyLong_FromLongLong(size);
}

static int take_length(Request *self, PyObject *length)
{
    if (length == NULL) return 0;
    PyObject *size = length_of(length);
    if (size == NULL) return -1;
    int is = PyObject_IsTrue(size);
    if (is == 1) set(&self->_response_size, Py_NewRef(size));
    Py_DECREF(size);
    return is < 0 ? -1 : 0;
}

/* The exception whose handler makes this response, where one escaped from the application. */
static void take_handled(Request *self)
{
    PyObject *type, *error, *trace;
    PyErr_GetExcInfo(&type, &error, &trace);
    set(&self->_handling, error == NULL ? Py_NewRef(Py_None) : error);
    Py_XDECREF(type);
    Py_XDECREF(trace);
}

/* Returns the message with the request id; NULL without an error where Python is to look closer. */
static PyObject *started(Request *self, PyObject *message)
{
    PyObject *status = PyDict_GetItemWithError(message, str_status), *length = NULL;
    PyObject *headers = PyDict_GetItemWithError(message, str_headers);
    if (status == NULL || !PyLong_CheckExact(status) || is_usual(headers, &length) != 1) return NULL;
    long number = PyLong_AsLong(status);
    if (number < 100 || number >= 500) return NULL;
    PyObject *ask = PyDict_GetItemWithError(http.names, str_get_global_response_propagator);
    PyObject *propagator = ask == NULL ? NULL : PyObject_CallNoArgs(ask);
    Py_XDECREF(propagator);
    if (propagator != Py_None) return NULL;
    set(&self->_status, Py_NewRef(status));
    take_handled(self);
    PyObject *all = take_length(self, length) < 0 ? NULL : with_id(headers, self->id);
    PyObject *made = all == NULL ? NULL : PyDict_Copy(message);
    if (made != NULL && PyDict_SetItem(made, str_headers, all) < 0) Py_CLEAR(made);
    Py_XDECREF(all);
    return made;
}

/* The last part of the response on its way: what the server's own `send` returned, and the request that it ends. */
typedef struct {
    PyObject_HEAD
    PyObject *sending;
    Request *request;
} Last;

/* Takes note that the response has been sent, unless that was done. */
static int ended(Request *self)
{
    if (!is_zero(self->_end)) return 0;
    PyObject *now = clock_of(http.names, str_perf_counter_ns), *sum = NULL;
    if (now != NULL) sum = PyNumber_Add(self->_wall, now);
    int done = set(&self->_end, sum == NULL ? NULL : PyNumber_Subtract(sum, self->_start));
    Py_XDECREF(now);
    Py_XDECREF(sum);
    if (done < 0 || self->_span == NULL || (PyObject *)Py_TYPE(self->_span) != http.span) return done;
    ServerSpan *span = (ServerSpan *)self->_span;
    if (is_zero(span->end_ns)) set(&span->end_ns, Py_NewRef(self->_end));
    return 0;
}

/* Goes on where the server's `send` waits for nothing more: with what it returned, or its error. */
static PyObject *last_next(Last *self)
{
    PyObject *value = NULL;
    PySendResult state = PyIter_Send(self->sending, Py_None, &value);
    if (state != PYGEN_RETURN) return value;
    Py_DECREF(value);
    ended(self->request); /* an error goes on, as it would from a coroutine */
    return NULL;
}

static PyObject *last_send(Last *self, PyObject *given)
{
    PyObject *value = NULL;
    PySendResult state = PyIter_Send(self->sending, given, &value);
    if (state != PYGEN_RETURN) return value;
    Py_DECREF(value);
    if (ended(self->request) == 0) PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

static PyObject *last_throw(Last *self, PyObject *args)
{
    PyObject *throw = PyObject_GetAttrString(self->sending, "throw");
    if (throw == NULL) return NULL; /* coroutines and futures have it */
    PyObject *value = PyObject_CallObject(throw, args);
    Py_DECREF(throw);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_StopIteration)) {
        PyErr_Clear();
        if (ended(self->request) == 0) PyErr_SetNone(PyExc_StopIteration);
    }
    return value;
}

static PyObject *last_close(Last *self, PyObject *nothing)
{
    PyObject *close = PyObject_GetAttrString(self->sending, "close");
    if (close == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear(); /* it has nothing to close, as a future */
        Py_RETURN_NONE;
    }
    PyObject *done = close == NULL ? NULL : PyObject_CallNoArgs(close);
    Py_XDECREF(close);
    return done;
}

static int last_traverse(Last *self, visitproc visit, void *arg)
{
    Py_VISIT(self->sending);
    Py_VISIT(self->request);
    return 0;
}

static int last_clear(Last *self)
{
    Py_CLEAR(self->sending);
    Py_CLEAR(self->request);
    return 0;
}

static void last_dealloc(Last *self)
{
    PyObject_GC_UnTrack(self);
    last_clear(self);
    PyObject_GC_Del(self);
}

static PyMethodDef last_methods[] = {
    {"send", (PyCFunction)last_send, METH_O, NULL},
    {"throw", (PyCFunction)last_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)last_close, METH_NOARGS, NULL},
    {NULL},
};

static PyAsyncMethods last_async = {.am_await = PyObject_SelfIter};

PyTypeObject LastType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "otelml_native.Last",
    .tp_doc = "The last part of a response on its way.",
    .tp_basicsize = sizeof(Last),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = (destructor)last_dealloc,
    .tp_traverse = (traverseproc)last_traverse,
    .tp_clear = (inquiry)last_clear,
    .tp_as_async = &last_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)last_next,
    .tp_methods = last_methods,
};

/* Returns what is to be iterated of something awaitable: a coroutine itself. */
static PyObject *iterator_of(PyObject *awaitable)
{
    if (PyCoro_CheckExact(awaitable)) return Py_NewRef(awaitable);
    PyAsyncMethods *methods = Py_TYPE(awaitable)->tp_as_async;
    if (methods != NULL && methods->am_await != NULL) return methods->am_await(awaitable);
    PyErr_Format(PyExc_TypeError, "object %.100s can't be used in 'await' expression", Py_TYPE(awaitable)->tp_name);
    return NULL;
}

static PyObject *last(Request *self, PyObject *message)
{
    PyObject *awaitable = PyObject_CallOneArg(self->_send, message);
    PyObject *sending = awaitable == NULL ? NULL : iterator_of(awaitable);
    Py_XDECREF(awaitable);
    Last *made = sending == NULL ? NULL : PyObject_GC_New(Last, &LastType);
    if (made == NULL) {
        Py_XDECREF(sending);
        return NULL;
    }
    made->sending = sending;
    made->request = (Request *)Py_NewRef((PyObject *)self);
    PyObject_GC_Track(made);
    return (PyObject *)made;
}

static PyObject *request_send(PyObject *object, PyObject *message)
{
    Request *self = (Request *)object;
    PyObject *type = PyDict_CheckExact(message) ? PyDict_GetItemWithError(message, str_type) : NULL;
    if (type == NULL || !PyUnicode_Check(type) || self->_send == NULL)
        return in_python(http.send, object, &message, 1, NULL);
    if (is_text(type, "http.response.body")) {
        PyObject *more = PyDict_GetItemWithError(message, str_more_body);
        int goes_on = more == NULL ? 0 : PyObject_IsTrue(more);
        if (goes_on < 0 || PyErr_Occurred()) return NULL;
        return goes_on ? PyObject_CallOneArg(self->_send, message) : last(self, message);
    }
    PyObject *made = is_text(type, "http.response.start") ? started(self, message) : NULL;
    if (made == NULL) return forget() < 0 ? NULL : in_python(http.send, object, &message, 1, NULL);
    PyObject *sent = PyObject_CallOneArg(self->_send, made);
    Py_DECREF(made);
    return sent;
}

/* Its end ---------------------------------------------------------------------------------------------------------- */

/* Whether nothing went wrong, and nobody has added anything to the span. */
static int is_common(Request *self)
{
    if (self->_noted != Py_None || self->_exported != Py_False || self->_requests == NULL) return 0;
    if (self->_span == NULL || self->_cell == NULL) return 0;
    if ((PyObject *)Py_TYPE(self->_span) != http.span || !PyList_CheckExact(self->_cell)) return 0;
    if (((ServerSpan *)self->_span)->parent != Py_None || self->_kind != http.server_kind) return 0;
    return self->_direct == NULL || self->_direct == Py_None ? 0 : is_none(self->_span, str_added);
}

/* Makes current what was so before. */
static int go_out(Request *self)
{
    if (self->_token == Py_None) return 0;
    if (go_back(&self->_token) < 0) return -1;
    if (PyContextVar_Reset(own.beside, self->_beside) == 0) return 0;
    if (!PyErr_ExceptionMatches(PyExc_ValueError)) return -1;
    PyErr_Clear(); /* closed from somewhere else, as a coroutine is that nobody waits for */
    return 0;
}

/* Returns what all requests like this one share, where that is known; NULL without an error where it is not. */
static PyObject *series_known(Request *self, PyObject *metrics, PyObject *route)
{
    PyObject *server = PyDict_GetItemWithError(self->scope, str_server);
    PyObject *version = PyDict_GetItemWithError(self->scope, str_http_version);
    if (server != NULL && server != Py_None && !PyTuple_CheckExact(server)) return NULL;
    PyObject *protocol = version == NULL ? NULL : PyDict_GetItemWithError(http.versions, version);
    if (PyErr_Occurred()) return NULL;
    PyObject *key = PyTuple_Pack(7, route, self->_status, self->_method, self->_scheme, protocol ? protocol : Py_None,
                                 self->_synthetic, server ? server : Py_None);
    PyObject *all = key == NULL ? NULL : attribute(metrics, str_series), *found = NULL;
    if (all != NULL) found = Py_XNewRef(PyDict_GetItemWithError(all, key));
    Py_XDECREF(key);
    Py_XDECREF(all);
    return found;
}

/* Returns a new reference to what served the request: its route, or what holds the whole path of an included one. */
static PyObject *server_of(PyObject *scope)
{
    PyObject *route = PyDict_GetItemWithError(scope, str_route), *inner = PyDict_GetItemWithError(scope, str_fastapi);
    PyObject *included = NULL, *original = NULL;
    if (route == NULL || (inner != NULL && !PyDict_Check(inner))) return NULL;
    if (inner != NULL) included = PyDict_GetItemWithError(inner, str_effective_route_context);
    if (included == NULL || included == Py_None) return PyErr_Occurred() ? NULL : Py_NewRef(route);
    Py_INCREF(included);
    if ((original = PyObject_GetAttr(included, str_original_route)) == NULL || original != route)
        Py_SETREF(included, original == NULL ? NULL : Py_NewRef(route));
    Py_XDECREF(original);
    return included;
}

/* Whether the root path is that of the beginning, or there is none. */
static int is_root(Request *self)
{
    PyObject *root = PyDict_GetItemWithError(self->scope, str_root_path);
    if (self->_root_path == NULL || !PyUnicode_Check(self->_root_path)) return 0;
    if (root == NULL) return PyUnicode_GET_LENGTH(self->_root_path) == 0;
    return PyUnicode_Check(root) && PyUnicode_Compare(root, self->_root_path) == 0;
}

/* Returns the path of a route, where it is known for it and for the method; NULL without an error elsewhere. */
static PyObject *path_known(PyObject *known, PyObject *route, PyObject *scope)
{
    PyObject *ref = attribute(known, str_route), *methods = attribute(known, str_methods), *path = NULL;
    PyObject *alive = ref == NULL || methods == NULL ? NULL : PyObject_CallNoArgs(ref);
    if (alive == route) {
        PyObject *method = PyDict_GetItemWithError(scope, str_method);
        int serves = methods == Py_None ? 1 : method == NULL ? 0 : PySequence_Contains(methods, method);
        if (serves == 1) path = attribute(known, str_path);
    }
    Py_XDECREF(ref);
    Py_XDECREF(methods);
    Py_XDECREF(alive);
    return path;
}

/* Returns the route as `_routes.of_served` remembers it; NULL without an error where that is to find it. */
static PyObject *route_known(Request *self, PyObject *routes)
{
    if (routes != PyDict_GetItemWithError(http.asgi_names, str__routes) || !is_root(self)) return NULL;
    PyObject *route = server_of(self->scope), *all = NULL, *id = NULL, *path = NULL;
    if (route != NULL) all = attribute(routes, str__known);
    if (all != NULL) id = PyLong_FromVoidPtr(route);
    PyObject *known = id == NULL ? NULL : PyDict_GetItemWithError(all, id);
    if (known != NULL) {
        Py_INCREF(known);
        path = path_known(known, route, self->scope);
        Py_DECREF(known);
    }
    Py_XDECREF(route);
    Py_XDECREF(all);
    Py_XDECREF(id);
    return path;
}

static PyObject *route_of(Request *self)
{
    PyObject *routes = attribute(self->_requests, str_routes);
    PyObject *route = routes == NULL ? NULL : route_known(self, routes);
    if (route == NULL && routes != NULL && forget() == 0) {
        PyObject *args[] = {routes, self->_app, self->scope, self->_path, self->_root_path};
        route = PyObject_VectorcallMethod(str_of_served, args, 5, NULL);
    }
    Py_XDECREF(routes);
    return route;
}

static int find_series(Request *self, PyObject *metrics)
{
    PyObject *route = route_of(self);
    PyObject *found = route == NULL ? NULL : series_known(self, metrics, route);
    Py_XDECREF(route);
    if (found == NULL && !PyErr_Occurred()) found = PyObject_CallMethodNoArgs((PyObject *)self, str__find_series);
    return set(&self->_series, found);
}

/* Queues the span as what its message is made of, as `DirectServerSpans.finish` does; 0 where that is to do it. */
static int queue_span(Request *self)
{
    ServerSpan *span = (ServerSpan *)self->_span;
    PyObject *queue = attribute(self->_direct, str__queue), *home = attribute(self->_direct, str__home);
    PyObject *encoded = attribute(self->_series, str_encoded), *tracer = NULL, *parts = NULL;
    if (queue != NULL && home != NULL) tracer = attribute(self->_direct, str_tracer);
    int done = tracer == NULL || encoded == NULL ? -1 : queue != Py_None && encoded != Py_None;
    if (done == 1) done = is_same(tracer, home, str_resource);
    if (done == 1) {
        parts = PyTuple_Pack(7, encoded, span->ids, own.zero, Py_False, span->start_ns, span->end_ns, self->id);
        PyObject *args[] = {queue, parts, home}, *nothing = NULL;
        if (parts != NULL) nothing = PyObject_VectorcallMethod(str_put_parts, args, 3, NULL);
        Py_XDECREF(nothing);
        done = nothing == NULL ? -1 : 1;
    }
    Py_XDECREF(queue);
    Py_XDECREF(home);
    Py_XDECREF(encoded);
    Py_XDECREF(tracer);
    Py_XDECREF(parts);
    return done;
}

static int export_span(Request *self, PyObject *metrics)
{
    set(&self->_exported, Py_NewRef(Py_True));
    if (ended(self) < 0 || find_series(self, metrics) < 0) return -1;
    int done = queue_span(self);
    if (done != 0) return done < 0 ? -1 : 0;
    PyObject *args[] = {self->_direct, self->_span, self->_series, self->id, self->_kind};
    PyObject *nothing = PyObject_VectorcallMethod(str_finish, args, 5, NULL);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 0;
}

/* Has its measurements wait with others of the series, as `HttpMetrics.record` does. */
static int measure(Request *self, PyObject *metrics, PyObject *seconds)
{
    PyObject *ids = ((ServerSpan *)self->_span)->ids, *waiting = attribute(self->_series, str_waiting);
    PyObject *nothing = NULL;
    if (waiting == Py_None) {
        PyObject *args[] = {metrics, self->_series, seconds, self->_request_size, self->_response_size, ids};
        nothing = PyObject_VectorcallMethod(str_record, args, 6, NULL);
    } else if (waiting != NULL) {
        PyObject *values = PyTuple_Pack(4, seconds, self->_request_size, self->_response_size, ids);
        if (values != NULL) nothing = PyObject_CallMethodOneArg(waiting, str_append, values);
        Py_XDECREF(values);
        if (nothing != NULL && PyObject_Size(waiting) >= http.most_waiting) {
            PyObject *args[] = {metrics, self->_series, waiting};
            Py_SETREF(nothing, PyObject_VectorcallMethod(str__fold, args, 3, NULL));
        }
    }
    Py_XDECREF(waiting);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 0;
}

/* Takes it out of those that are open, and measures it where it was one of them. */
static int close_one(Request *self, PyObject *metrics, PyObject *ticks)
{
    if (self->_active == Py_None) return 0;
    PyObject *open = self->_active, *id = PyLong_FromVoidPtr(self), *seconds = NULL;
    self->_active = Py_NewRef(Py_None);
    int done = id == NULL ? -1 : PySet_Discard(open, id);
    if (done >= 0) seconds = PyNumber_Multiply(ticks, http.nano);
    done = seconds == NULL ? -1 : measure(self, metrics, seconds);
    Py_DECREF(open);
    Py_XDECREF(id);
    Py_XDECREF(seconds);
    return done;
}

static int end(Request *self)
{
    PyObject *now = clock_of(http.names, str_perf_counter_ns);
    PyObject *took = now == NULL ? NULL : PyNumber_Subtract(now, self->_start), *metrics = NULL;
    int done = -1;
    if (took != NULL && PyList_SetSlice(self->_cell, 0, PY_SSIZE_T_MAX, NULL) == 0) {
        set(&self->_handling, Py_NewRef(Py_None));
        if (go_out(self) == 0) metrics = attribute(self->_requests, str_metrics);
        if (metrics != NULL && export_span(self, metrics) == 0) done = close_one(self, metrics, took);
    }
    Py_XDECREF(now);
    Py_XDECREF(took);
    Py_XDECREF(metrics);
    return done;
}

static PyObject *request_finish(PyObject *object, PyObject *nothing)
{
    Request *self = (Request *)object;
    int common = is_common(self);
    if (common != 1) return forget() < 0 ? NULL : in_python(http.finish, object, NULL, 0, NULL);
    if (end(self) < 0 && guarded("integrations.asgi") < 0) return NULL;
    Py_RETURN_NONE;
}

PyMethodDef request_methods[] = {
    {"send", request_send, METH_O, "send($self, message, /)\n--\n\nStand in for the server's ``send``."},
    {"finish", request_finish, METH_NOARGS,
     "finish($self, /)\n--\n\nEnd the request: the span is exported, measurements are taken."},
    {NULL},
};

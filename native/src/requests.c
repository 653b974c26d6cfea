/* HTTP requests: their beginning, as `otelml.integrations.asgi.Requests` has it. The common one is sampled, and comes
 * without a trace or prediction around it. */

#include "native.h"

FIELDS_TYPE(ServerSpan, SERVER_SPAN_FIELDS, ServerSpanFields, span_new, "What a request's span holds.")
FIELDS_TYPE(Request, REQUEST_FIELDS, RequestFields, request_new, "What a request holds.")

struct Http http;

/* Returns the attribute of a module that a module's names hold. */
static PyObject *in_module(PyObject *names, PyObject *module, PyObject *name)
{
    PyObject *found = PyDict_GetItemWithError(names, module);
    if (found == NULL && !PyErr_Occurred()) PyErr_SetObject(PyExc_NameError, module);
    return found == NULL ? NULL : PyObject_GetAttr(found, name);
}

PyObject *ask_module(PyObject *names, PyObject *module, PyObject *name, PyObject *given)
{
    PyObject *function = in_module(names, module, name);
    if (function == NULL) return NULL;
    PyObject *found = given == NULL ? PyObject_CallNoArgs(function) : PyObject_CallOneArg(function, given);
    Py_DECREF(function);
    return found;
}

/* Beginning -------------------------------------------------------------------------------------------------------- */

/* Whether a text ends with another one; few even have its last letter. */
static int ends_with(PyObject *text, PyObject *ending)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(text), k = PyUnicode_GET_LENGTH(ending);
    if (k == 0 || k > n) return k == 0;
    if (PyUnicode_READ_CHAR(text, n - 1) != PyUnicode_READ_CHAR(ending, k - 1)) return 0;
    return PyUnicode_Tailmatch(text, ending, 0, PY_SSIZE_T_MAX, 1) != 0;
}

/* Whether a path may be excluded: Python is to look closer. */
static int may_be_excluded(PyObject *requests, PyObject *path)
{
    int plain = is_none(requests, str__expression);
    if (plain <= 0) return plain < 0 ? -1 : 1;
    PyObject *endings = attribute(requests, str__endings);
    if (endings == NULL) return -1;
    int found = !PyTuple_CheckExact(endings) || !PyUnicode_CheckExact(path);
    for (Py_ssize_t i = 0; !found && i < PyTuple_GET_SIZE(endings); i++)
        found = ends_with(path, PyTuple_GET_ITEM(endings, i));
    Py_DECREF(endings);
    return PyErr_Occurred() ? -1 : found;
}

/* Whether headers hold what the global propagator looks for, or that is not known. */
static int may_have_trace(PyObject *requests, PyObject *headers)
{
    PyObject *now = ask_module(http.asgi_names, str_propagate, str_get_global_textmap, NULL);
    PyObject *seen = now == NULL ? NULL : attribute(requests, str__propagator);
    PyObject *fields = seen == NULL ? NULL : attribute(requests, str__fields), *key, *value;
    int found = fields == NULL ? -1 : now != seen || !PyAnySet_Check(fields);
    for (Py_ssize_t i = 0; found == 0 && PyDict_Next(headers, &i, &key, &value);) found = PySet_Contains(fields, key);
    Py_XDECREF(now);
    Py_XDECREF(seen);
    Py_XDECREF(fields);
    return found;
}

/* Returns a new reference to the maker of our own spans where every request is sampled; else NULL, without an error
 * where Python is to look closer. */
static PyObject *maker_of(PyObject *requests)
{
    PyObject *direct = attribute(requests, str__direct);
    if (direct == NULL) return NULL;
    PyObject *now = direct == Py_None ? NULL : answer_of(direct, str_processors);
    PyObject *seen = now == NULL ? NULL : attribute(direct, str_seen);
    if (seen == NULL || now != seen || is_none(direct, str__decide) != 1) Py_CLEAR(direct);
    Py_XDECREF(now);
    Py_XDECREF(seen);
    return direct;
}

/* Returns the headers as a dict, as the last of each name; NULL without an error where they are not as usual. */
static PyObject *headers_of(PyObject *scope)
{
    PyObject *pairs = PyDict_GetItemWithError(scope, str_headers);
    if (pairs == NULL || !(PyList_CheckExact(pairs) || PyTuple_CheckExact(pairs))) return NULL;
    PyObject *headers = PyDict_New();
    if (headers != NULL && PyDict_MergeFromSeq2(headers, pairs, 1) < 0) Py_CLEAR(headers);
    return headers;
}

/* Returns a new reference: of the application's attribute, or of the scope's. */
static PyObject *root_path_of(PyObject *app, PyObject *scope)
{
    PyObject *found = app == Py_None ? NULL : PyObject_GetAttr(app, str_root_path);
    if (found == NULL && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return NULL;
        PyErr_Clear();
    }
    int has = found == NULL ? 0 : PyObject_IsTrue(found);
    if (has == 1) return found;
    Py_XDECREF(found);
    if (has < 0) return NULL;
    found = PyDict_GetItemWithError(scope, str_root_path);
    if (found == NULL && !PyErr_Occurred()) return PyUnicode_New(0, 0);
    return Py_XNewRef(found);
}

static PyObject *scheme_of(PyObject *scope)
{
    PyObject *scheme = PyDict_GetItemWithError(scope, str_scheme);
    int is_known = scheme == NULL ? 0 : PySet_Contains(http.schemes, scheme);
    if (is_known < 0 || PyErr_Occurred()) return NULL;
    return Py_NewRef(is_known ? scheme : Py_None);
}

/* Returns what a function of `_request_facts` or `context` makes of a header, None without one. */
static PyObject *read_header(PyObject *headers, const char *name, PyObject *function)
{
    PyObject *key = PyBytes_FromString(name);
    if (key == NULL) return NULL;
    PyObject *value = PyDict_GetItemWithError(headers, key);
    Py_DECREF(key);
    if (value == NULL) return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    return function == str_size ? length_of(value) : ask_module(http.names, str_facts, function, value);
}

static PyObject *id_of(PyObject *headers)
{
    PyObject *given = PyDict_GetItemWithError(headers, http.header);
    if (given == NULL && PyErr_Occurred()) return NULL;
    return ask_module(http.names, str_context, given == NULL ? str_new_id : str_accept, given);
}

static int take_facts(Request *self, PyObject *headers)
{
    set(&self->_path, Py_XNewRef(PyDict_GetItemWithError(self->scope, str_path)));
    return set(&self->_root_path, root_path_of(self->_app, self->scope)) < 0 ||
                   set(&self->_scheme, scheme_of(self->scope)) < 0 || set(&self->id, id_of(headers)) < 0 ||
                   set(&self->_request_size, read_header(headers, "content-length", str_size)) < 0 ||
                   set(&self->_synthetic, read_header(headers, "user-agent", str_synthetic)) < 0
               ? -1
               : 0;
}

static int start_span(Request *self)
{
    ServerSpan *span = (ServerSpan *)span_new((PyTypeObject *)http.span, NULL, NULL);
    PyObject *draw = attribute(self->_direct, str__ids), *random = attribute(self->_direct, str__random);
    int done = -1;
    if (span != NULL && draw != NULL && random != NULL) {
        set(&span->_name, Py_NewRef(self->_method));
        set(&span->start_ns, Py_NewRef(self->_wall));
        set(&span->flags, Py_NewRef(PyTuple_GET_ITEM(own.all_flags, 1 | (PyLong_AsLong(random) & 3))));
        done = set(&span->ids, PyObject_CallNoArgs(draw));
    }
    Py_XDECREF(draw);
    Py_XDECREF(random);
    set(&self->_span, (PyObject *)span);
    return done;
}

/* Adds it to those that are open, as `HttpMetrics.active` has them. */
static int count_open(Request *self)
{
    PyObject *metrics = attribute(self->_requests, str_metrics), *sets = NULL, *key = NULL, *id = NULL;
    int done = -1;
    if (metrics != NULL) sets = attribute(metrics, str__active);
    if (sets != NULL) key = PyTuple_Pack(2, self->_method, self->_scheme);
    if (key != NULL) {
        PyObject *args[] = {metrics, self->_method, self->_scheme}, *open = PyDict_GetItemWithError(sets, key);
        if (open != NULL) Py_INCREF(open);
        else if (!PyErr_Occurred()) open = PyObject_VectorcallMethod(str_active, args, 3, NULL);
        if (set(&self->_active, open) == 0) id = PyLong_FromVoidPtr(self);
        if (id != NULL) done = PySet_Add(open, id);
    }
    Py_XDECREF(metrics);
    Py_XDECREF(sets);
    Py_XDECREF(key);
    Py_XDECREF(id);
    return done;
}

static int is_http(PyObject *scope)
{
    return is_text(PyDict_GetItem(scope, str_type), "http");
}

/* Makes the span, and the request id, current. */
static int attach(Request *self, PyObject *current)
{
    PyObject *cell = PyList_New(1);
    if (cell == NULL) return -1;
    PyList_SET_ITEM(cell, 0, Py_NewRef(self));
    set(&self->_cell, cell);
    if (set(&self->_own, context_with(current, self->_span, own.request_key, self->id)) < 0) return -1;
    if (PyDict_SetItem(self->_own, http.key, cell) < 0) return -1;
    if (is_http(self->scope) && count_open(self) < 0) return -1;
    if (set(&self->_token, PyContextVar_Set(own.variable, self->_own)) < 0) return -1;
    return set(&self->_beside, PyContextVar_Set(own.beside, self->id));
}

/* What is found out about a request before anything is made of it. */
typedef struct {
    PyObject *wall, *tick, *headers, *current, *direct, *method; /* the method is borrowed */
} Found;

/* Whether it is a common request; -1 where that can't be told. */
static int look_at(PyObject *requests, PyObject *scope, Found *found)
{
    if ((found->wall = clock_of(http.asgi_names, str_time_ns)) == NULL) return -1;
    if ((found->tick = clock_of(http.asgi_names, str_perf_counter_ns)) == NULL) return -1;
    PyObject *path = PyDict_GetItemWithError(scope, str_path), *method = PyDict_GetItemWithError(scope, str_method);
    PyObject *type = PyDict_GetItemWithError(scope, str_type);
    if (type == NULL || !PyUnicode_CheckExact(type) || path == NULL || method == NULL) return 0;
    if ((found->method = PyDict_GetItemWithError(http.methods, method)) == NULL) return 0;
    int other = may_be_excluded(requests, path);
    if (other != 0) return other < 0 ? -1 : 0;
    if ((found->current = current_context()) == NULL) return -1;
    if (PyDict_GET_SIZE(found->current) > 0 || (found->headers = headers_of(scope)) == NULL) return 0;
    other = may_have_trace(requests, found->headers);
    if (other != 0) return other < 0 ? -1 : 0;
    return (found->direct = maker_of(requests)) != NULL;
}

static PyObject *begun(PyObject *requests, PyObject *app, PyObject *scope, PyObject *send, Found *found)
{
    Request *self = (Request *)request_new((PyTypeObject *)http.request, NULL, NULL);
    if (self == NULL) return NULL;
    set(&self->_requests, Py_NewRef(requests));
    set(&self->_app, Py_NewRef(app));
    set(&self->scope, Py_NewRef(scope));
    set(&self->_send, Py_NewRef(send));
    set(&self->_wall, Py_NewRef(found->wall));
    set(&self->_start, Py_NewRef(found->tick));
    set(&self->_method, Py_NewRef(found->method));
    set(&self->_kind, Py_NewRef(http.server_kind));
    set(&self->_direct, Py_NewRef(found->direct));
    if (take_facts(self, found->headers) < 0 || start_span(self) < 0 || attach(self, found->current) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static PyObject *requests_begin(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    if (n < 2 || n > 3 || names != NULL || !PyDict_CheckExact(args[1]))
        return in_python(http.begin, self, args, n, names);
    Found found = {NULL};
    PyObject *made = NULL;
    int common = look_at(self, args[1], &found);
    if (common == 1) made = begun(self, args[0], args[1], n == 3 ? args[2] : Py_None, &found);
    Py_XDECREF(found.wall);
    Py_XDECREF(found.tick);
    Py_XDECREF(found.headers);
    Py_XDECREF(found.current);
    Py_XDECREF(found.direct);
    if (made != NULL) return made;
    if (common != 1) return forget() < 0 ? NULL : in_python(http.begin, self, args, n, names);
    if (guarded("integrations.asgi.begin") < 0) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"begin", (PyCFunction)(void (*)(void))requests_begin, METH_FASTCALL | METH_KEYWORDS,
     "begin($self, /, app, scope, send=None)\n--\n\n"
     "Start observing one request; None where it is excluded or observing is suppressed."},
    {NULL},
};

static int take_names(PyObject *given)
{
    PyObject *facts = PyDict_GetItemString(http.names, "facts"), *kinds = PyDict_GetItemString(given, "SpanKind");
    PyObject **places[] = {&http.header, &http.key, &http.nano};
    const char *names[] = {"HEADER", "REQUEST", "NANO"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (set(places[i], Py_XNewRef(PyDict_GetItemString(http.names, names[i]))) < 0) return -1;
    if (facts == NULL || kinds == NULL) return -1;
    return set(&http.methods, PyObject_GetAttrString(facts, "METHODS")) < 0 ||
                   set(&http.schemes, PyObject_GetAttrString(facts, "SCHEMES")) < 0 ||
                   set(&http.versions, PyObject_GetAttrString(facts, "VERSIONS")) < 0 ||
                   set(&http.server_kind, PyObject_GetAttrString(kinds, "SERVER")) < 0
               ? -1
               : 0;
}

PyObject *use_requests(PyObject *module, PyObject *args)
{
    PyObject *requests, *request, *span, *asgi_names, *request_names;
    if (!PyArg_ParseTuple(args, "O!O!O!O!O!n", &PyType_Type, &requests, &PyType_Type, &request, &PyType_Type, &span,
                          &PyDict_Type, &asgi_names, &PyDict_Type, &request_names, &http.most_waiting))
        return NULL;
    set(&http.asgi_names, Py_NewRef(asgi_names));
    set(&http.names, Py_NewRef(request_names));
    if (take_names(asgi_names) < 0) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "use_requests() takes the names of two modules");
        return NULL;
    }
    if (set(&http.begin, PyObject_GetAttrString(requests, "begin")) < 0 ||
        set(&http.send, PyObject_GetAttrString(request, "send")) < 0 ||
        set(&http.finish, PyObject_GetAttrString(request, "finish")) < 0 ||
        replace_methods(requests, methods) < 0 || replace_methods(request, request_methods) < 0)
        return NULL;
    set(&http.request, Py_NewRef(request));
    set(&http.span, Py_NewRef(span));
    Py_RETURN_NONE;
}

/*
 * A shared library with the C interface of NVML, whose GPUs are described by a text file.
 *
 * OTELML_TEST_NVML names the file; it is read again at each call, so that a test can change a value at any time:
 *
 *   driver 550.54.15            count 1
 *   gpu0.uuid GPU-0             gpu0.util 37          a value that is missing is answered NVML_ERROR_NOT_SUPPORTED
 *   gpu0.compute self:1024,7:5  pid:bytes of the processes; "self" is the caller
 *   gpu0.mig 1                  gpu0.mig0.uuid MIG-0  ...
 *   event 0 8 79                GPU 0, event type 8 (Xid), Xid 79; handed out once, if it came after the event set
 *   error.gpu0.FUNCTION 15      error of a function for one device; error.FUNCTION 999 for all of them
 *   sleep.FUNCTION 500          milliseconds before it answers
 *
 * Each call appends "pid function" to FILE.calls. As with a real driver, a session belongs to the process that
 * opened it: in a forked child every call fails until the inherited session was shut down and a new one opened.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
       TIMEOUT = 10, VERSION_MISMATCH = 25 };
enum { GPUS = 8, PARTS = 8, LINE = 512, KEY = 128 };

typedef struct { char key[KEY]; int gpu, watched; } device;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct { unsigned version, sensor; int celsius; } temperature_v1;
typedef struct { unsigned pid; unsigned long long used; unsigned instance, compute_instance; } process;
typedef struct { device *gpu; unsigned long long type, data; unsigned instance, compute_instance; } event;

static device gpus[GPUS], parts[GPUS][PARTS];
static int sessions, owner, next_event;

/* The n-th value of a key; 1 when there is one. */
static int lookup(const char *key, int n, char *value) {
    char line[LINE];
    size_t length = strlen(key);
    int found = 0;
    FILE *file = fopen(getenv("OTELML_TEST_NVML"), "r");
    if (!file) return 0;
    while (!found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, key, length) || line[length] != ' ' || n-- > 0) continue;
        strcpy(value, line + length + 1);
        found = 1;
    }
    fclose(file);
    return found;
}

static int error_of(const char *prefix, const char *owner_key, const char *function) {
    char key[2 * KEY], value[LINE];
    snprintf(key, sizeof key, "%s.%s%s%s", prefix, owner_key, *owner_key ? "." : "", function);
    return lookup(key, 0, value) ? atoi(value) : 0;
}

/* Log the call, wait and fail as the file says. */
static int enter(const char *function, const device *gpu) {
    char path[LINE], line[KEY];
    snprintf(path, sizeof path, "%s.calls", getenv("OTELML_TEST_NVML"));
    FILE *log = fopen(path, "a");
    snprintf(line, sizeof line, "%d %s\n", (int)getpid(), function);
    if (log) { fputs(line, log); fclose(log); }
    usleep(1000 * error_of("sleep", "", function));
    int error = error_of("error", "", function);
    if (!error && gpu) error = error_of("error", gpu->key, function);
    if (error) return error;
    if (strncmp(function, "nvmlInit", 8) && (!sessions || owner != (int)getpid())) return UNINITIALIZED;
    return OK;
}

static int text(const device *gpu, const char *name, char *value) {
    char key[2 * KEY];
    snprintf(key, sizeof key, "%s.%s", gpu->key, name);
    return lookup(key, 0, value) ? OK : NOT_SUPPORTED;
}

static int number(const device *gpu, const char *name, unsigned long long *value) {
    char digits[LINE];
    int error = text(gpu, name, digits);
    if (!error) *value = strtoull(digits, NULL, 10);
    return error;
}

#define ENTER(gpu) do { int error_ = enter(__func__, gpu); if (error_) return error_; } while (0)

static int one(const char *function, device *gpu, const char *name, unsigned *value) {
    unsigned long long wide;
    int error = enter(function, gpu);
    if (!error) error = number(gpu, name, &wide);
    if (!error) *value = (unsigned)wide;
    return error;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    ENTER(NULL);
    if (!sessions++) owner = getpid();
    return OK;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    enter(__func__, NULL);
    if (!sessions) return UNINITIALIZED;
    sessions--;
    return OK;
}

const char *nvmlErrorString(int error) { return error == 9 ? "Driver Not Loaded" : "Some NVML error"; }

int nvmlSystemGetDriverVersion(char *version, unsigned size) {
    char value[LINE];
    ENTER(NULL);
    if (!lookup("driver", 0, value)) return NOT_SUPPORTED;
    snprintf(version, size, "%s", value);
    return OK;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    char value[LINE];
    ENTER(NULL);
    *count = lookup("count", 0, value) ? (unsigned)atoi(value) : 0;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **gpu) {
    if (index >= GPUS) return INVALID_ARGUMENT;
    snprintf(gpus[index].key, KEY, "gpu%u", index);
    gpus[index].gpu = (int)index;
    ENTER(&gpus[index]);
    *gpu = &gpus[index];
    return OK;
}

int nvmlDeviceGetUUID(device *gpu, char *uuid, unsigned size) {
    char value[LINE];
    ENTER(gpu);
    if (text(gpu, "uuid", value)) return NOT_SUPPORTED;
    snprintf(uuid, size, "%s", value);
    return OK;
}

int nvmlDeviceGetName(device *gpu, char *name, unsigned size) {
    char value[LINE];
    ENTER(gpu);
    if (text(gpu, "name", value)) return NOT_SUPPORTED;
    snprintf(name, size, "%s", value);
    return OK;
}

int nvmlDeviceGetMigMode(device *gpu, unsigned *current, unsigned *pending) {
    int error = one(__func__, gpu, "mig", current);
    *pending = *current;
    return error;
}

int nvmlDeviceGetMaxMigDeviceCount(device *gpu, unsigned *count) {
    (void)gpu;
    ENTER(gpu);
    *count = PARTS;
    return OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(device *gpu, unsigned index, device **part) {
    char value[LINE];
    if (index >= PARTS) return INVALID_ARGUMENT;
    device *found = &parts[gpu->gpu][index];
    snprintf(found->key, KEY, "gpu%d.mig%u", gpu->gpu, index);
    ENTER(gpu);
    if (text(found, "uuid", value)) return NOT_FOUND;
    *part = found;
    return OK;
}

int nvmlDeviceGetUtilizationRates(device *gpu, utilization *rates) {
    rates->memory = 0;
    return one(__func__, gpu, "util", &rates->gpu);
}

int nvmlDeviceGetEncoderUtilization(device *gpu, unsigned *share, unsigned *period) {
    *period = 1000000;
    return one(__func__, gpu, "encoder", share);
}

int nvmlDeviceGetDecoderUtilization(device *gpu, unsigned *share, unsigned *period) {
    *period = 1000000;
    return one(__func__, gpu, "decoder", share);
}

int nvmlDeviceGetMemoryInfo_v2(device *gpu, memory_v2 *info) {
    ENTER(gpu);
    if (info->version != (sizeof *info | 2u << 24)) return VERSION_MISMATCH;
    if (number(gpu, "total", &info->total) || number(gpu, "used", &info->used)) return NOT_SUPPORTED;
    if (number(gpu, "reserved", &info->reserved)) info->reserved = 0;
    info->free = info->total - info->used - info->reserved;
    return OK;
}

int nvmlDeviceGetMemoryInfo(device *gpu, memory_v1 *info) {
    unsigned long long reserved = 0;
    ENTER(gpu);
    if (number(gpu, "total", &info->total) || number(gpu, "used", &info->used)) return NOT_SUPPORTED;
    number(gpu, "reserved", &reserved);
    info->used += reserved;
    info->free = info->total - info->used;
    return OK;
}

int nvmlDeviceGetTemperature(device *gpu, unsigned sensor, unsigned *celsius) {
    return sensor ? INVALID_ARGUMENT : one(__func__, gpu, "temperature", celsius);
}

int nvmlDeviceGetTemperatureV(device *gpu, temperature_v1 *reading) {
    if (reading->version != (sizeof *reading | 1u << 24)) return VERSION_MISMATCH;
    return one(__func__, gpu, "temperature", (unsigned *)&reading->celsius);
}

int nvmlDeviceGetPowerUsage(device *gpu, unsigned *milliwatts) { return one(__func__, gpu, "power", milliwatts); }

int nvmlDeviceGetTotalEnergyConsumption(device *gpu, unsigned long long *millijoules) {
    ENTER(gpu);
    return number(gpu, "energy", millijoules);
}

int nvmlDeviceGetCurrentClocksEventReasons(device *gpu, unsigned long long *mask) {
    ENTER(gpu);
    return number(gpu, "throttle", mask);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(device *gpu, unsigned long long *mask) {
    ENTER(gpu);
    return number(gpu, "throttle", mask);
}

static int list(const char *function, device *gpu, const char *name, unsigned *count, process *found) {
    char value[LINE], *rest = value;
    unsigned n = 0;
    int error = enter(function, gpu);
    if (!error) error = text(gpu, name, value);
    if (error) return error;
    for (char *word; (word = strsep(&rest, ",")) && *word; n++) {
        if (!found || n >= *count) continue;
        found[n].pid = strncmp(word, "self", 4) ? (unsigned)atoi(word) : (unsigned)getpid();
        found[n].used = strtoull(strchr(word, ':') + 1, NULL, 10);
        found[n].instance = found[n].compute_instance = UINT32_MAX;
    }
    unsigned room = found ? *count : 0;
    *count = n;
    return n > room ? INSUFFICIENT_SIZE : OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(device *gpu, unsigned *count, process *found) {
    return list(__func__, gpu, "compute", count, found);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(device *gpu, unsigned *count, process *found) {
    return list(__func__, gpu, "graphics", count, found);
}

int nvmlEventSetCreate(void **set) {
    char value[LINE];
    ENTER(NULL);
    for (next_event = 0; lookup("event", next_event, value); next_event++) continue;
    *set = &next_event;
    return OK;
}

int nvmlDeviceRegisterEvents(device *gpu, unsigned long long types, void *set) {
    ENTER(gpu);
    if (set != &next_event || types != 8) return INVALID_ARGUMENT;
    gpu->watched = 1;
    return OK;
}

int nvmlEventSetWait_v2(void *set, event *found, unsigned milliseconds) {
    char value[LINE];
    unsigned index;
    ENTER(NULL);
    if (set != &next_event) return INVALID_ARGUMENT;
    while (lookup("event", next_event, value)) {
        next_event++;
        if (sscanf(value, "%u %llu %llu", &index, &found->type, &found->data) != 3 || index >= GPUS) continue;
        found->gpu = &gpus[index];
        found->instance = found->compute_instance = UINT32_MAX;
        if (found->gpu->watched) return OK;
    }
    usleep(1000 * milliseconds);
    return TIMEOUT;
}

int nvmlEventSetFree(void *set) {
    ENTER(NULL);
    return set == &next_event ? OK : INVALID_ARGUMENT;
}

// A device for PyTorch that works only when a test says so: "busy", of the kind PrivateUse1, for test_device_time.py.
//
// It is asynchronous as a GPU is: work and events are put into the queue of a stream, and nothing passes there before
// `finish`. Its time is counted, not measured: a queue's clock goes on by the milliseconds of the work in it, so that
// tests know to the digit what events say. Tensors have host memory, and nobody computes with them.

#include <ATen/EmptyTensor.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace {

using c10::Device;
using c10::DeviceIndex;
using c10::Stream;
constexpr auto kind = c10::DeviceType::PrivateUse1;
constexpr DeviceIndex devices = 2;

struct Mark {  // an event, as the device sees it
  double at = 0;
  bool passed = false;
};

struct Task {  // work of so many milliseconds, or an event to mark
  double milliseconds = 0;
  std::shared_ptr<Mark> mark;
};

struct Queue {
  double now = 0;
  std::deque<Task> tasks;
};

std::recursive_mutex lock;
std::map<std::pair<DeviceIndex, c10::StreamId>, Queue> queues;
std::map<std::string, int64_t> counts;  // of what PyTorch asked for
bool timed = true;                      // whether events have times
thread_local DeviceIndex current_device = 0;
thread_local c10::StreamId current_streams[devices] = {};

using Locked = std::lock_guard<std::recursive_mutex>;

void counted(const char* what) {
  Locked held(lock);
  ++counts[what];
}

void put(const Stream& stream, Task task) {
  Locked held(lock);
  queues[{stream.device_index(), stream.id()}].tasks.push_back(std::move(task));
}

std::shared_ptr<Mark>& mark_of(void* event) {
  return *static_cast<std::shared_ptr<Mark>*>(event);
}

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kind; }
  DeviceIndex deviceCount() const noexcept override { return devices; }
  Device getDevice() const override { return Device(kind, current_device); }
  void setDevice(Device device) const override { current_device = device.index(); }
  void uncheckedSetDevice(Device device) const noexcept override { current_device = device.index(); }
  Device exchangeDevice(Device device) const override {
    return Device(kind, std::exchange(current_device, device.index()));
  }

  Stream getStream(Device device) const noexcept override {
    return Stream(Stream::UNSAFE, device, current_streams[device.index()]);
  }
  Stream getDefaultStream(Device device) const override { return Stream(Stream::DEFAULT, device); }
  Stream exchangeStream(Stream stream) const noexcept override {
    auto before = std::exchange(current_streams[stream.device_index()], stream.id());
    return Stream(Stream::UNSAFE, stream.device(), before);
  }

  void record(void** event, const Stream& stream, const DeviceIndex, const c10::EventFlag) const override {
    counted("recorded");
    if (*event == nullptr) {
      *event = new std::shared_ptr<Mark>();
    }
    mark_of(*event) = std::make_shared<Mark>();
    put(stream, {0, mark_of(*event)});
  }
  bool queryEvent(void* event) const override {
    Locked held(lock);
    ++counts["queried"];
    return mark_of(event)->passed;
  }
  double elapsedTime(void* start, void* end, const DeviceIndex) const override {
    Locked held(lock);
    TORCH_CHECK(timed, "events of this device have no times");
    return mark_of(end)->at - mark_of(start)->at;
  }
  void destroyEvent(void* event, const DeviceIndex) const noexcept override {
    if (event != nullptr) {
      counted("destroyed");
      delete static_cast<std::shared_ptr<Mark>*>(event);
    }
  }

  // What waits for the device: a test finds it counted, rather than that it hangs.
  void block(void*, const Stream&) const override { counted("synchronized"); }
  void synchronizeEvent(void*) const override { counted("synchronized"); }
  void synchronizeStream(const Stream&) const override { counted("synchronized"); }
  void synchronizeDevice(const DeviceIndex) const override { counted("synchronized"); }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

struct Allocator final : at::Allocator {
  at::DataPtr allocate(size_t size) override {
    void* data = std::malloc(size);
    return {data, data, &std::free, Device(kind, current_device)};
  }
  at::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t size) const override { default_copy_data(to, from, size); }
} allocator;

at::Tensor empty(
    c10::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
    std::optional<Device> device, std::optional<bool>, std::optional<at::MemoryFormat>) {
  auto before = std::exchange(current_device, device && device->has_index() ? device->index() : current_device);
  auto made = at::detail::empty_generic(
      size, &allocator, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), type.value_or(at::kFloat), std::nullopt);
  current_device = before;
  return made;
}

at::Tensor work(const at::Tensor& given, double milliseconds) {
  put(Guard().getStream(given.device()), {milliseconds, nullptr});
  return empty(given.sizes(), given.scalar_type(), {}, given.device(), {}, {});
}

void finish(int64_t most) {  // let every queue get on with so many of its tasks
  Locked held(lock);
  for (auto& [_, queue] : queues) {
    for (auto left = most; left > 0 && !queue.tasks.empty(); --left) {
      auto task = std::move(queue.tasks.front());
      queue.tasks.pop_front();
      queue.now += task.milliseconds;
      if (task.mark) {
        *task.mark = {queue.now, true};
      }
    }
  }
}

int64_t count(std::string what) {
  Locked held(lock);
  return counts[what];
}

void have_times(bool wanted) { timed = wanted; }

}  // namespace

TORCH_LIBRARY(busy, m) {
  m.def("work(Tensor given, float milliseconds) -> Tensor");
  m.def("finish(int most) -> ()", &finish);
  m.def("count(str what) -> int", &count);
  m.def("have_times(bool wanted) -> ()", &have_times);
}

TORCH_LIBRARY_IMPL(busy, PrivateUse1, m) { m.impl("work", &work); }

TORCH_LIBRARY_IMPL(busy, AutogradPrivateUse1, m) { m.impl("work", torch::CppFunction::makeFallthrough()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) { m.impl("empty.memory_format", &empty); }

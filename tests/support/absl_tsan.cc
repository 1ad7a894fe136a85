// Tells ThreadSanitizer what absl::Mutex orders.
//
// Debian's abseil is not built with ThreadSanitizer, and its mutex waits on
// futexes that the sanitizer does not see, so every access that such a mutex
// guards would be reported. In the tsan preset these definitions come before
// those of abseil's shared library: each calls the one that it hides, and tells
// the sanitizer, by the object's address, what that one has ordered.
//
// A thread that unlocks or waits may evaluate other threads' conditions, inside
// the real function and so between our two annotations; the mutex is held then,
// and what they read is not looked at.

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

extern "C" void __tsan_ignore_thread_begin();
extern "C" void __tsan_ignore_thread_end();

namespace {

// Calls abseil's own definition of a member function, given by its symbol.
template <typename Result, typename... Arguments>
class Hidden {
 public:
  explicit Hidden(const char* symbol)
      : function_(reinterpret_cast<Function>(dlsym(RTLD_NEXT, symbol))) {
    if (function_ == nullptr) {
      std::fprintf(stderr, "absl_tsan: abseil has no %s\n", symbol);
      std::abort();
    }
  }

  Result operator()(Arguments... arguments) const {
    const Ignoring ignoring;
    return function_(arguments...);
  }

 private:
  using Function = Result (*)(Arguments...);
  struct Ignoring {
    Ignoring() { __tsan_ignore_thread_begin(); }
    ~Ignoring() { __tsan_ignore_thread_end(); }
  };

  Function function_;
};

void* Address(const void* object) { return const_cast<void*>(object); }

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const Hidden<void, Mutex*> hidden("_ZN4absl7debian35Mutex4LockEv");
  hidden(this);
  __tsan_acquire(this);
}

bool Mutex::TryLock() {
  static const Hidden<bool, Mutex*> hidden("_ZN4absl7debian35Mutex7TryLockEv");
  const bool locked = hidden(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::Unlock() {
  static const Hidden<void, Mutex*> hidden("_ZN4absl7debian35Mutex6UnlockEv");
  __tsan_release(this);
  hidden(this);
}

void Mutex::ReaderLock() {
  static const Hidden<void, Mutex*> hidden("_ZN4absl7debian35Mutex10ReaderLockEv");
  hidden(this);
  __tsan_acquire(this);
}

void Mutex::ReaderUnlock() {
  static const Hidden<void, Mutex*> hidden("_ZN4absl7debian35Mutex12ReaderUnlockEv");
  __tsan_release(this);
  hidden(this);
}

void Mutex::Await(const Condition& condition) {
  static const Hidden<void, Mutex*, const Condition&> hidden(
      "_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE");
  __tsan_release(this);
  hidden(this, condition);
  __tsan_acquire(this);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, absl::Duration timeout) {
  static const Hidden<bool, Mutex*, const Condition&, absl::Duration> hidden(
      "_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  __tsan_release(this);
  const bool holds = hidden(this, condition, timeout);
  __tsan_acquire(this);
  return holds;
}

void CondVar::Wait(Mutex* mutex) {
  static const Hidden<void, CondVar*, Mutex*> hidden("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  __tsan_release(mutex);
  hidden(this, mutex);
  __tsan_acquire(mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, absl::Duration timeout) {
  static const Hidden<bool, CondVar*, Mutex*, absl::Duration> hidden(
      "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  __tsan_release(mutex);
  const bool timed_out = hidden(this, mutex, timeout);
  __tsan_acquire(mutex);
  return timed_out;
}

void Notification::Notify() {
  static const Hidden<void, Notification*> hidden("_ZN4absl7debian312Notification6NotifyEv");
  __tsan_release(this);
  hidden(this);
}

void Notification::WaitForNotification() const {
  static const Hidden<void, const Notification*> hidden(
      "_ZNK4absl7debian312Notification19WaitForNotificationEv");
  hidden(this);
  __tsan_acquire(Address(this));
}

bool Notification::WaitForNotificationWithTimeout(absl::Duration timeout) const {
  static const Hidden<bool, const Notification*, absl::Duration> hidden(
      "_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
  const bool notified = hidden(this, timeout);
  if (notified) __tsan_acquire(Address(this));
  return notified;
}

bool BlockingCounter::DecrementCount() {
  static const Hidden<bool, BlockingCounter*> hidden(
      "_ZN4absl7debian315BlockingCounter14DecrementCountEv");
  __tsan_release(this);
  return hidden(this);
}

void BlockingCounter::Wait() {
  static const Hidden<void, BlockingCounter*> hidden("_ZN4absl7debian315BlockingCounter4WaitEv");
  hidden(this);
  __tsan_acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl

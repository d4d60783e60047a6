// Switches of libtorch that torch-sys does not bind. They only store flags and do not throw.

#include <ATen/Context.h>

extern "C" void nashost_set_deterministic(bool on) noexcept {
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(on, /*warn_only=*/false);
  context.setDeterministicCuDNN(on);
  context.setDeterministicMkldnn(on);
  if (on) {
    // Measuring which algorithm is fastest answers differently from time to time.
    context.setBenchmarkCuDNN(false);
  }
}

extern "C" bool nashost_is_deterministic() noexcept {
  const at::Context& context = at::globalContext();
  return context.deterministicAlgorithms() && !context.deterministicAlgorithmsWarnOnly() &&
         context.deterministicCuDNN() && context.deterministicMkldnn() && !context.benchmarkCuDNN();
}

// A depthwise convolution whose gradients take the fast routines of oneDNN; see depthwise.rs.

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <tuple>
#include <vector>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What oneDNN's routine for the gradient of depthwise filters takes at most.
constexpr int64_t kColumns = 3;

// Stride 1 and as much padding as keeps the size; `weight` has odd sides.
at::Tensor convolve(const at::Tensor& images, const at::Tensor& weight, int64_t dilation) {
  const int64_t rows = dilation * (weight.size(2) / 2), columns = dilation * (weight.size(3) / 2);
  return at::conv2d(images, weight, {}, {1, 1}, {rows, columns}, {dilation, dilation}, weight.size(0));
}

// The pixels that a dilated filter sees together, as images of their own: batch × d², sides / d.
at::Tensor phases(const at::Tensor& images, int64_t d) {
  const int64_t n = images.size(0), c = images.size(1), h = images.size(2) / d, w = images.size(3) / d;
  return images.permute({0, 2, 3, 1})
      .reshape({n, h, d, w, d, c})
      .permute({2, 4, 0, 1, 3, 5})
      .reshape({d * d * n, h, w, c})
      .permute({0, 3, 1, 2});
}

// The gradient of a filter without dilation, at most three of its columns at a time.
at::Tensor weight_gradient(const at::Tensor& images, const at::Tensor& gradient, const at::Tensor& weight) {
  const int64_t side = images.size(3), rows = weight.size(2) / 2, width = weight.size(3);
  const at::Tensor padded = at::constant_pad_nd(images, {width / 2, width / 2, 0, 0});
  std::vector<at::Tensor> parts;
  for (int64_t first = 0; first < width; first += kColumns) {
    const int64_t columns = std::min(kColumns, width - first);
    const at::Tensor seen =
        padded.narrow(3, first, side + columns - 1).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor filters = weight.narrow(3, first, columns).contiguous();
    parts.push_back(std::get<1>(at::convolution_backward(gradient, seen, filters, c10::nullopt, {1, 1},
                                                         {rows, 0}, {1, 1}, /*transposed=*/false, {0, 0},
                                                         weight.size(0), {false, true, false})));
  }
  return at::cat(parts, 3);
}

struct Depthwise : torch::autograd::Function<Depthwise> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& images, const at::Tensor& weight,
                            int64_t dilation) {
    context->save_for_backward({images, weight});
    context->saved_data["dilation"] = dilation;
    return convolve(images, weight, dilation);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &images = saved[0], &weight = saved[1];
    const int64_t dilation = context->saved_data["dilation"].toInt();
    const at::Tensor gradient = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor of_images, of_weight;
    if (context->needs_input_grad(0)) {
      // Every pixel gets from its neighbours what it gave them.
      of_images = convolve(gradient, weight.flip({2, 3}), dilation);
    }
    if (context->needs_input_grad(1)) {
      of_weight = dilation == 1 ? weight_gradient(images, gradient, weight)
                                : weight_gradient(phases(images, dilation), phases(gradient, dilation), weight);
    }
    return {of_images, of_weight, at::Tensor()};
  }
};

}  // namespace

// Returns a new tensor, or nothing and the reason in `why`.
extern "C" at::Tensor* nashost_depthwise(const at::Tensor* images, const at::Tensor* weight, int64_t dilation,
                                         char* why, size_t room) noexcept {
  try {
    return new at::Tensor(Depthwise::apply(*images, *weight, dilation));
  } catch (const std::exception& error) {
    std::snprintf(why, room, "%s", error.what());
  } catch (...) {
    std::snprintf(why, room, "unknown exception");
  }
  return nullptr;
}

// The weights of a recurrence, packed for the products of a pass.
#pragma once

#include "problem.h"

namespace sercli {

// A copy of some blocks of H rows, each block padded to `width` rows and each row to `padded`.
template <class T>
Buffer<T> blocks(const T* matrix, const std::vector<int>& gates, int64_t hidden, int64_t width,
                 int64_t columns, int64_t padded) {
  Buffer<T> copy(static_cast<int64_t>(gates.size()) * width * padded);
  if (!matrix) return copy;
  for (size_t g = 0; g < gates.size(); g++)
    for (int64_t i = 0; i < hidden; i++)
      std::memcpy(copy.get() + (g * width + i) * padded, matrix + (gates[g] * hidden + i) * columns,
                  columns * sizeof(T));
  return copy;
}

// For W x and U h: the inner dimension is that of the input or the state.
template <class M>
struct ForwardWeights {
  using T = typename M::Number;
  Buffer<typename M::Item> input;
  std::vector<Buffer<typename M::Item>> hidden;
  Buffer<T> input_bias, hidden_bias;

  ForwardWeights(const Problem<T>& p, const Cell<T>& cell) {
    const Part all{0, cell.gates};
    if (p.input_weight) input = packed(p, p.input_weight, all, p.inputs);
    for (const auto part : parts_of(cell))
      hidden.push_back(packed(p, p.hidden_weight, part, p.hidden));
    input_bias = blocks(p.input_bias, gates_of(all), p.hidden, p.width(), 1, 1);
    hidden_bias =
        blocks(p.hidden_bias, gates_of({0, products_of(cell)}), p.hidden, p.width(), 1, 1);
  }

 private:
  static Buffer<typename M::Item> packed(const Problem<T>& p, const T* weight, Part part,
                                         int64_t inner) {
    auto rows = blocks(weight, gates_of(part), p.hidden, p.width(), inner, inner);
    const T* from = rows;
    const int64_t columns = part.gates * p.width();
    Buffer<typename M::Item> result(packed_size<M>(inner, columns));
    pack<M>(inner, columns, [=](int64_t k, int64_t n) { return from[n * inner + k]; }, result);
    return result;
  }
};

// For the gradients of x and h: the inner dimension is that of the gates, in the order of their
// gradients in memory.
template <class M>
struct BackwardWeights {
  using T = typename M::Number;
  Buffer<typename M::Item> input;
  std::vector<Buffer<typename M::Item>> hidden;

  BackwardWeights(const Problem<T>& p, const Cell<T>& cell) {
    if (p.input_weight && p.dx)
      input = packed(p, p.input_weight, cell.input_gates, p.inputs, p.input_width());
    for (const auto part : parts_of(cell))
      hidden.push_back(packed(p, p.hidden_weight, gates_of(part), p.hidden, p.width()));
  }

 private:
  static Buffer<typename M::Item> packed(const Problem<T>& p, const T* weight,
                                         const std::vector<int>& gates, int64_t columns,
                                         int64_t padded) {
    auto rows = blocks(weight, gates, p.hidden, p.width(), columns, padded);
    const T* from = rows;
    const int64_t inner = static_cast<int64_t>(gates.size()) * p.width();
    Buffer<typename M::Item> result(packed_size<M>(inner, padded));
    pack<M>(inner, padded, [=](int64_t k, int64_t n) { return from[k * padded + n]; }, result);
    return result;
  }
};

// Rows of numbers as operands of a product: as they are, or as rounded pairs in `room`.
template <class M>
const typename M::Item* as_items(const typename M::Number* from, int64_t rows, int64_t columns,
                                 int64_t row, Buffer<typename M::Item>& room) {
  if constexpr (M::depth == 1) {
    return from;
  } else {
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < columns; j += 2)
        room[(i * columns + j) / 2] = M::item(from[i * row + j], from[i * row + j + 1]);
    return room;
  }
}

// The buffer for `as_items`, if it needs one.
template <class M>
Buffer<typename M::Item> room_for_items(int64_t numbers) {
  return Buffer<typename M::Item>(M::depth == 1 ? 0 : numbers / 2);
}

template <class M>
int64_t item_row(int64_t columns, int64_t row) {
  return M::depth == 1 ? row : columns / 2;
}

}  // namespace sercli

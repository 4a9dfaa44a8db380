// The backward pass of a slice of sequences.
//
// The gradients of the gates are collected for a chunk of steps, and multiplied into the gradients
// of the weights while the chunk is in the cache.
#pragma once

#include "weights.h"

namespace sercli {

template <class M>
class BackwardPass {
  using T = typename M::Number;
  using Item = typename M::Item;

 public:
  BackwardPass(const Slice<T>& slice, const BackwardWeights<M>& weights)
      : slice(slice),
        p(*slice.problem),
        cell(*slice.cell),
        weights(weights),
        parts(parts_of(cell)),
        width(p.width()),
        input_width(p.input_width()),
        all(cell.gates * width),
        d_row(cell.blocks * width),
        rows(slice.rows()),
        chunk(std::max<int64_t>(1, 256 / rows)),
        reads_c(multiplies(cell, CELL_STATE)),
        coefficients(slice),
        d_coefficients(coefficients.gradients(rows)),
        d_input_weight(p.input_weight ? all * input_width : 0),
        d_hidden_weight(products_of(cell) * width * width),
        d_bias(d_row),
        x(p.input_weight ? chunk * rows * input_width : 0),
        h(chunk * rows * width),
        c(reads_c ? chunk * rows * width : 0),
        opened(multiplies(cell, OPENED) ? chunk * rows * width : 0),
        d(chunk * rows * d_row),
        dh(rows * width),
        dc(rows * width),
        c0(width),
        d_opened(rows * width),
        value(width),
        dvalue(width),
        d_items(room_for_items<M>(chunk * rows * d_row)),
        packed_left(packed_size<M>(chunk * rows, d_row)),
        packed_right(packed_size<M>(chunk * rows, std::max(width, input_width))),
        dx(p.dx ? chunk * rows * input_width : 0) {}

  void run() {
    slice.load(p.d_h_final, dh);
    slice.load(p.d_c_final, dc);
    const int64_t steps = slice.steps();
    for (int64_t end = steps; end > 0; end -= chunk) {
      const int64_t count = std::min(chunk, end);
      const auto time = [&](int64_t i) { return p.reverse ? steps - end + i : end - 1 - i; };
      int64_t taken = 0;
      for (int64_t i = 0; i < count; taken += slice.active(time(i)), i++) step(time(i), taken);
      add_to_weights(taken);
      taken = 0;
      for (int64_t i = 0; p.dx && i < count; taken += slice.active(time(i)), i++)
        give_dx(time(i), taken);
    }
    for (int64_t b = 0; p.dx && b < rows; b++)
      for (int64_t t = slice.length(b); t < p.steps; t++)
        std::memset(dx_row(t, b), 0, p.inputs * sizeof(T));
    slice.unload(dh, p.dh0);
    slice.unload(dc, p.dc0);
  }

  // Add the gradients of the slice to those of the recurrence.
  void add_up() const {
    for (int64_t g = 0; g < cell.gates; g++) {
      const int64_t gate = cell.input_gates[g];
      if (p.d_input_weight)
        add(d_input_weight + g * width * input_width, input_width, p.inputs,
            p.d_input_weight + gate * p.hidden * p.inputs);
      if (p.d_input_bias) add(d_bias + g * width, 1, 1, p.d_input_bias + gate * p.hidden);
    }
    for (int64_t g = 0; g < products_of(cell); g++) {
      add(d_hidden_weight + g * width * width, width, p.hidden,
          p.d_hidden_weight + g * p.hidden * p.hidden);
      if (p.d_hidden_bias)
        add(d_bias + (cell.hidden_at + g) * width, 1, 1, p.d_hidden_bias + g * p.hidden);
    }
    for (int64_t i = 0; i < p.coefficients; i++) {
      const bool own = p.coefficient_row[i] != 0;
      for (int64_t b = 0; b < (own ? rows : 1); b++)
        for (int64_t j = 0; j < p.hidden; j++)
          p.d_coefficient[i][(own ? slice.member(b) : 0) * p.hidden + j] +=
              d_coefficients[i].get()[b * width + j];
    }
  }

 private:
  void add(const T* from, int64_t row, int64_t columns, T* to) const {
    for (int64_t i = 0; i < p.hidden; i++)
      for (int64_t j = 0; j < columns; j++) to[i * columns + j] += from[i * row + j];
  }
  T* dx_row(int64_t t, int64_t b) const {
    return p.dx + t * p.dx_step + slice.member(b) * p.dx_row;
  }

  void step(int64_t t, int64_t at) {
    const int64_t count = slice.active(t);
    for (int64_t b = 0; b < count; b++) {
      fetch(t, b, at + b);
      if (p.d_states) {
        const T* from = p.d_states + t * p.d_step + slice.member(b) * p.d_row;
        T* to = dh + b * width;
        for (int64_t j = 0; j < p.hidden; j++) to[j] += from[j];
      }
      cell.backward(row(t, b, at + b));
    }
    for (size_t part = parts.size(); part-- > 0;) {
      if (parts[part].source == STATE) multiply(at, count, part, dh, dh);
      if (parts[part].source == CELL_STATE) multiply(at, count, part, dc, dc);
      if (parts[part].source != OPENED) continue;
      multiply(at, count, part, nullptr, d_opened);
      for (int64_t b = 0; b < count; b++) cell.reopen(row(t, b, at + b));
    }
  }

  // Copy the input of a step and the state before it.
  void fetch(int64_t t, int64_t b, int64_t to) {
    if (p.input_weight)
      std::memcpy(x + to * input_width, p.x + t * p.x_step + slice.member(b) * p.x_row,
                  p.inputs * sizeof(T));
    const T* from = h_before(t, b);
    if (from) std::memcpy(h + to * width, from, p.hidden * sizeof(T));
    else std::memset(h + to * width, 0, p.hidden * sizeof(T));
    if (reads_c) std::memcpy(c + to * width, c_before(t, b), width * sizeof(T));
  }
  bool is_first(int64_t t, int64_t b) const {
    return p.reverse ? t + 1 == slice.length(b) : t == 0;
  }
  const T* h_before(int64_t t, int64_t b) const {
    if (!is_first(t, b))
      return p.states + (p.reverse ? t + 1 : t - 1) * p.state_step + slice.member(b) * p.state_row;
    return p.h0 ? p.h0 + slice.member(b) * p.hidden : nullptr;
  }
  const T* c_before(int64_t t, int64_t b) {
    if (cell.cell_state < 0) return nullptr;
    if (!is_first(t, b)) return slice.kept(p.reverse ? t + 1 : t - 1, b) + cell.cell_state * width;
    if (p.c0) std::memcpy(c0, p.c0 + slice.member(b) * p.hidden, p.hidden * sizeof(T));
    return c0;
  }

  Backward<T> row(int64_t t, int64_t b, int64_t at) {
    coefficients.point(b, pointers);
    coefficients.point(d_coefficients, b, d_pointers);
    return {slice.kept(t, b), h + at * width,  c_before(t, b),
            dh + b * width,   dc + b * width,  d + at * d_row,
            d_opened + b * width,              opened + at * width,
            value,            dvalue,          pointers,
            d_pointers};
  }

  // result = start + gradients of the gates · recurrent weights.
  void multiply(int64_t at, int64_t count, size_t part, const T* start, T* result) {
    const int64_t columns = parts[part].gates * width;
    const T* from = d + at * d_row + (cell.hidden_at + parts[part].first) * width;
    const Item* items = as_items<M>(from, count, columns, d_row, d_items);
    product<M>(count, columns, width, items, item_row<M>(columns, d_row), weights.hidden[part],
               start, width, result, width);
  }

  void add_to_weights(int64_t count) {
    const T* left = d;
    const int64_t row = d_row;
    pack_stripes<M>(count, d_row, [=](int64_t k, int64_t n) { return left[k * row + n]; },
                    packed_left);
    if (p.input_weight) add_to(d_input_weight, count, 0, cell.gates, x, input_width);
    for (const auto& part : parts) {
      const auto& right = part.source == STATE ? h : part.source == CELL_STATE ? c : opened;
      add_to(d_hidden_weight + part.first * width * width, count, cell.hidden_at + part.first,
             part.gates, right.get(), width);
    }
    for (int64_t i = 0; i < count; i++)
      for (int64_t j = 0; j < d_row; j++) d_bias[j] += d[i * d_row + j];
    if (p.dx && p.input_weight) {
      const Item* items = as_items<M>(d, count, all, d_row, d_items);
      product<M>(count, all, input_width, items, item_row<M>(all, d_row), weights.input, nullptr, 0,
                 dx, input_width);
    }
  }

  void add_to(T* sum, int64_t count, int64_t block, int64_t gates, const T* right,
              int64_t columns) {
    pack<M>(count, columns, [=](int64_t k, int64_t n) { return right[k * columns + n]; },
            packed_right);
    add_outer<M>(count, gates * width, columns,
                 packed_left + packed_size<M>(count, block * width), packed_right, sum);
  }

  void give_dx(int64_t t, int64_t at) {
    for (int64_t b = 0; b < slice.active(t); b++) {
      if (p.input_weight) {
        std::memcpy(dx_row(t, b), dx + (at + b) * input_width, p.inputs * sizeof(T));
        continue;
      }
      for (int64_t g = 0; g < cell.gates; g++)
        std::memcpy(dx_row(t, b) + cell.input_gates[g] * p.hidden, d + (at + b) * d_row + g * width,
                    p.hidden * sizeof(T));
    }
  }

  const Slice<T>& slice;
  const Problem<T>& p;
  const Cell<T>& cell;
  const BackwardWeights<M>& weights;
  const std::vector<Part> parts;
  const int64_t width, input_width, all, d_row, rows, chunk;
  const bool reads_c;
  Coefficients<T> coefficients;
  std::vector<Buffer<T>> d_coefficients;
  const T* pointers[most_coefficients];
  T* d_pointers[most_coefficients];
  Buffer<T> d_input_weight, d_hidden_weight, d_bias, x, h, c, opened, d, dh, dc, c0;
  Buffer<T> d_opened, value, dvalue;
  Buffer<Item> d_items, packed_left, packed_right;
  Buffer<T> dx;
};

}  // namespace sercli

// The forward pass of a slice of sequences.
#pragma once

#include "weights.h"

namespace sercli {

template <class M>
class ForwardPass {
  using T = typename M::Number;
  using Item = typename M::Item;

 public:
  ForwardPass(const Slice<T>& slice, const ForwardWeights<M>& weights)
      : slice(slice),
        p(*slice.problem),
        cell(*slice.cell),
        weights(weights),
        parts(parts_of(cell)),
        width(p.width()),
        all(cell.gates * width),
        products(products_of(cell) * width),
        rows(slice.rows()),
        chunk(std::max<int64_t>(1, 64 / rows)),
        coefficients(slice),
        x(chunk * rows * p.input_width()),
        x_room(room_for_items<M>(chunk * rows * p.input_width())),
        h_room(room_for_items<M>(rows * width)),
        projected(chunk * rows * all),
        recurrent(rows * products),
        h(rows * width),
        c(rows * width),
        opened(rows * width),
        value(width),
        unkept(p.kept ? 0 : rows * cell.kept * width) {}

  void run() {
    slice.load(p.h0, h);
    slice.load(p.c0, c);
    const int64_t steps = slice.steps();
    for (int64_t start = 0; start < steps; start += chunk) {
      const int64_t count = std::min(chunk, steps - start);
      const auto time = [&](int64_t i) { return p.reverse ? steps - 1 - start - i : start + i; };
      int64_t taken = 0;
      for (int64_t i = 0; i < count; taken += slice.active(time(i)), i++) take(time(i), taken);
      if (p.input_weight) project(taken);
      taken = 0;
      for (int64_t i = 0; i < count; taken += slice.active(time(i)), i++)
        step(time(i), projected + taken * all);
    }
    for (int64_t b = 0; b < rows; b++)
      for (int64_t t = slice.length(b); t < p.steps; t++)
        std::memset(state(t, b), 0, p.hidden * sizeof(T));
    slice.unload(h, p.h_final);
    slice.unload(c, p.c_final);
  }

 private:
  T* state(int64_t t, int64_t b) const {
    return p.states + t * p.state_step + slice.member(b) * p.state_row;
  }
  T* kept(int64_t t, int64_t b) {
    return p.kept ? slice.kept(t, b) : unkept + b * cell.kept * width;
  }

  // Copy the inputs of a step.
  void take(int64_t t, int64_t to) {
    for (int64_t b = 0; b < slice.active(t); b++) {
      const T* from = p.x + t * p.x_step + slice.member(b) * p.x_row;
      if (p.input_weight)
        std::memcpy(x + (to + b) * p.input_width(), from, p.inputs * sizeof(T));
      for (int64_t g = 0; !p.input_weight && g < cell.gates; g++)
        std::memcpy(projected + (to + b) * all + g * width, from + g * p.hidden,
                    p.hidden * sizeof(T));
    }
  }

  void project(int64_t count) {
    const int64_t columns = p.input_width();
    const Item* items = as_items<M>(x, count, columns, columns, x_room);
    product<M>(count, p.inputs, all, items, item_row<M>(columns, columns), weights.input,
               weights.input_bias, 0, projected, all);
  }

  void multiply(int64_t count, size_t part) {
    const int64_t at = parts[part].first * width;
    const Source source = parts[part].source;
    const T* left = source == STATE ? h : source == CELL_STATE ? c : opened;
    const Item* items = as_items<M>(left, count, width, width, h_room);
    product<M>(count, p.hidden, parts[part].gates * width, items, item_row<M>(width, width),
               weights.hidden[part], weights.hidden_bias + at, 0, recurrent + at, products);
  }

  void step(int64_t t, const T* inputs) {
    const int64_t count = slice.active(t);
    for (size_t part = 0; part < parts.size(); part++) {
      if (parts[part].source == OPENED)
        for (int64_t b = 0; b < count; b++) cell.open(row(t, b, inputs));
      multiply(count, part);
    }
    for (int64_t b = 0; b < count; b++) {
      cell.forward(row(t, b, inputs));
      std::memcpy(state(t, b), h + b * width, p.hidden * sizeof(T));
    }
  }

  Forward<T> row(int64_t t, int64_t b, const T* inputs) {
    coefficients.point(b, pointers);
    return {inputs + b * all, recurrent + b * products,  h + b * width, c + b * width,
            kept(t, b),       opened + b * width,        value,         pointers};
  }

  const Slice<T>& slice;
  const Problem<T>& p;
  const Cell<T>& cell;
  const ForwardWeights<M>& weights;
  const std::vector<Part> parts;
  const int64_t width, all, products, rows, chunk;
  Coefficients<T> coefficients;
  const T* pointers[most_coefficients];
  Buffer<T> x;
  Buffer<Item> x_room, h_room;
  Buffer<T> projected, recurrent, h, c, opened, value, unkept;
};

}  // namespace sercli

// One recurrence as Python passes it, and the slices of its sequences.
#pragma once

#include "cells.h"

#include <memory>
#include <numeric>

namespace sercli {

enum CellName : int64_t { GRU, GRU_BEFORE, LI_GRU, LSTM, RNN, LSTM_AT };

// `Problem` in problem.py lists the same fields. A null pointer: absent. Steps of `x` and `states`
// are *_step numbers apart, sequences *_row; features are contiguous.
template <class T>
struct Problem {
  int64_t cell, steps, batch, inputs, hidden, reverse;
  const int64_t* lengths;
  const T* x;  // without input weights: projected already, gates × hidden
  int64_t x_step, x_row;
  const T *input_weight, *hidden_weight, *input_bias, *hidden_bias, *h0, *c0;
  T* states;
  int64_t state_step, state_row;
  T *h_final, *c_final, *kept;
  Activation<T> activation;
  int64_t coefficients;
  const T* coefficient[most_coefficients];
  int64_t coefficient_row[most_coefficients], coefficient_unit[most_coefficients];
  // Backwards only.
  const T* d_states;
  int64_t d_step, d_row;
  const T *d_h_final, *d_c_final;
  T* dx;
  int64_t dx_step, dx_row;
  T *d_input_weight, *d_hidden_weight, *d_input_bias, *d_hidden_bias, *dh0, *dc0;
  T* d_coefficient[most_coefficients];  // (batch, hidden), or (hidden) where all rows share it

  int64_t width() const { return rounded_up(hidden, lanes<T>); }
  int64_t input_width() const { return rounded_up(inputs, lanes<T>); }
};

template <class T>
std::unique_ptr<Cell<T>> new_cell(const Problem<T>& p) {
  switch (p.cell) {
    case GRU: return std::make_unique<Gru<T>>(p.width(), p.activation);
    case GRU_BEFORE: return std::make_unique<GruBefore<T>>(p.width(), p.activation);
    case LI_GRU: return std::make_unique<LiGru<T>>(p.width(), p.activation);
    case LSTM: return std::make_unique<Lstm<T>>(p.width(), p.activation);
    case LSTM_AT: return std::make_unique<LstmAt<T>>(p.width(), p.activation);
    default: return std::make_unique<Rnn<T>>(p.width(), p.activation);
  }
}

template <class T>
std::vector<Part> parts_of(const Cell<T>& cell) {
  return cell.parts.empty() ? std::vector<Part>{{0, cell.gates}} : cell.parts;
}

// Blocks of H rows in the recurrent weights.
template <class T>
int64_t products_of(const Cell<T>& cell) {
  const Part last = parts_of(cell).back();
  return last.first + last.gates;
}

template <class T>
bool multiplies(const Cell<T>& cell, Source source) {
  for (const Part part : cell.parts)
    if (part.source == source) return true;
  return false;
}

inline std::vector<int> gates_of(Part part) {
  std::vector<int> gates(part.gates);
  std::iota(gates.begin(), gates.end(), static_cast<int>(part.first));
  return gates;
}

// Some of the sequences of a recurrence, the longest first, which one thread takes through all of
// its steps. At each step only the first rows, which have not ended, are computed.
template <class T>
class Slice {
 public:
  const Problem<T>* problem;
  const Cell<T>* cell;

  Slice(const Problem<T>* problem, const Cell<T>* cell, std::vector<int64_t> members)
      : problem(problem), cell(cell), members(std::move(members)) {
    for (int64_t t = 0; !this->members.empty() && t < length(0); t++) {
      int64_t real = active_.empty() ? rows() : active_.back();
      while (length(real - 1) <= t) real--;
      active_.push_back(real);
    }
  }

  int64_t rows() const { return static_cast<int64_t>(members.size()); }
  int64_t steps() const { return static_cast<int64_t>(active_.size()); }
  // The number of its sequences with a step t.
  int64_t active(int64_t t) const { return active_[t]; }
  int64_t length(int64_t row) const { return problem->lengths[members[row]]; }
  // The sequence of the recurrence in a row.
  int64_t member(int64_t row) const { return members[row]; }
  // Copy a state (batch × hidden) to rows of vectors, and back; null: no state.
  void load(const T* from, T* rows_of) const {
    for (int64_t b = 0; from && b < rows(); b++)
      std::memcpy(rows_of + b * problem->width(), from + member(b) * problem->hidden,
                  problem->hidden * sizeof(T));
  }
  void unload(const T* rows_of, T* to) const {
    for (int64_t b = 0; to && b < rows(); b++)
      std::memcpy(to + member(b) * problem->hidden, rows_of + b * problem->width(),
                  problem->hidden * sizeof(T));
  }
  T* kept(int64_t t, int64_t row) const {
    return problem->kept + ((t * problem->batch + member(row)) * cell->kept) * problem->width();
  }

 private:
  std::vector<int64_t> members, active_;
};

// The activation's coefficients for each sequence of a slice, padded to vectors.
template <class T>
class Coefficients {
 public:
  explicit Coefficients(const Slice<T>& slice) : count(slice.problem->coefficients) {
    const auto& p = *slice.problem;
    width = p.width();
    for (int64_t i = 0; i < count; i++) {
      const bool own = p.coefficient_row[i] != 0;
      values.emplace_back((own ? slice.rows() : 1) * width);
      strides[i] = own ? width : 0;
      for (int64_t b = 0; b < (own ? slice.rows() : 1); b++)
        for (int64_t j = 0; j < width; j++)
          values[i][b * width + j] =
              p.coefficient[i][(own ? slice.member(b) : 0) * p.coefficient_row[i] +
                               (j < p.hidden ? j : 0) * p.coefficient_unit[i]];
    }
  }
  // Buffers for their gradients, of the same shapes.
  std::vector<Buffer<T>> gradients(int64_t rows) const {
    std::vector<Buffer<T>> all;
    for (int64_t i = 0; i < count; i++) all.emplace_back((strides[i] ? rows : 1) * width);
    return all;
  }
  // Set pointers to those of one sequence.
  template <class Pointer>
  void point(std::vector<Buffer<T>>& buffers, int64_t row, Pointer* pointers) const {
    for (int64_t i = 0; i < count; i++) pointers[i] = buffers[i].get() + row * strides[i];
  }
  void point(int64_t row, const T** pointers) { point(values, row, pointers); }

 private:
  int64_t count, width;
  std::vector<Buffer<T>> values;
  int64_t strides[most_coefficients];
};

}  // namespace sercli

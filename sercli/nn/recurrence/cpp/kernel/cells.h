// The steps of the cells, forward and backward, for one sequence.
//
// Every vector of H numbers is padded to `width`, whole vector registers; the padding holds finite
// numbers that are never read out.
#pragma once

#include "product.h"

namespace sercli {

constexpr int most_coefficients = 16;

// The activation of the candidate, compiled from its formula. `differentiate` returns the value
// and, from the gradient of the value, that of the input, and adds to those of the coefficients.
template <class T>
struct Activation {
  using Value = void (*)(int64_t n, const T* x, const T* const* coefficients, T* value);
  using Derivative = void (*)(int64_t n, const T* x, const T* const* coefficients, const T* gradient,
                              T* value, T* dx, T* const* d_coefficients);
  Value value;
  Derivative differentiate;
};

// Gates with a common recurrent product, whose left side is a state or the result of `open`.
enum Source { STATE, CELL_STATE, OPENED };
struct Part {
  int64_t first, gates;
  Source source = STATE;
};

template <class T>
struct Forward {
  const T* x;        // projected input of each gate
  const T* u;        // recurrent product of each gate
  T* h;              // states, changed in place
  T* c;
  T* kept;           // for the backward pass
  T* opened;         // left side of a later product
  T* value;          // buffer for the candidate
  const T* const* coefficients;
};

template <class T>
struct Backward {
  const T* kept;
  const T* h_before;  // states of the step before
  const T* c_before;
  T* dh;              // gradients of the states; in: after the step; out: before it, without
  T* dc;              //   the part that flows through the recurrent product
  T* d;               // gradients of the gates before their nonlinearity
  T* d_opened;
  T* opened;
  T* value;           // buffer
  T* dvalue;
  const T* const* coefficients;
  T* const* d_coefficients;
};

template <class T>
class Cell {
 public:
  int gates = 0;    // blocks of H rows in the input weights
  int kept = 0;     // vectors kept for the backward pass
  int blocks = 0;   // vectors of gradients of the gates
  std::vector<int> input_gates;  // the gates of the first blocks, in the order of the input weights
  int hidden_at = 0;             // first block in the order of the recurrent weights
  std::vector<Part> parts;       // in the order of the recurrent weights; empty: one, of all gates
  int cell_state = -1;           // the kept vector that is a second state, if any

  Cell(int64_t width, Activation<T> f) : width(width), f(f) {}
  virtual ~Cell() = default;
  virtual void open(const Forward<T>&) const {}  // sets the left side of an OPENED product
  virtual void forward(const Forward<T>&) const = 0;
  virtual void backward(const Backward<T>&) const = 0;
  virtual void reopen(const Backward<T>&) const {}  // the backward pass of `open`

 protected:
  using V = Lanes<T>;
  static constexpr int64_t step = lanes<T>;
  static V at(const T* p) { return V::loadu(p); }
  static V sigmoid(V x) { return V(T(1)) / (V(T(1)) + x.neg().exp()); }
  static V slope(V s) { return s * (V(T(1)) - s); }  // of a sigmoid with value s

  int64_t width;
  Activation<T> f;
};

// r, z, c with the reset after the product, as torch.nn.GRU. Kept: r, z, U h, the candidate's x.
template <class T>
class Gru : public Cell<T> {
  using typename Cell<T>::V;
  using Cell<T>::at, Cell<T>::sigmoid, Cell<T>::slope, Cell<T>::step, Cell<T>::width, Cell<T>::f;

 public:
  Gru(int64_t width, Activation<T> f) : Cell<T>(width, f) {
    this->gates = 3;
    this->kept = 4;
    this->blocks = 4;  // candidate towards the input, r, z, candidate towards the state
    this->input_gates = {2, 0, 1};
    this->hidden_at = 1;
  }

  void forward(const Forward<T>& s) const override {
    T *r = s.kept, *z = r + width, *q = z + width, *a = q + width;
    for (int64_t j = 0; j < width; j += step) {
      const V reset = sigmoid(at(s.x + j) + at(s.u + j));
      const V recurrent = at(s.u + 2 * width + j);
      reset.store(r + j);
      sigmoid(at(s.x + width + j) + at(s.u + width + j)).store(z + j);
      recurrent.store(q + j);
      at::vec::fmadd(reset, recurrent, at(s.x + 2 * width + j)).store(a + j);
    }
    f.value(width, a, s.coefficients, s.value);
    for (int64_t j = 0; j < width; j += step)
      at::vec::fmadd(at(z + j), at(s.h + j) - at(s.value + j), at(s.value + j)).store(s.h + j);
  }

  void backward(const Backward<T>& s) const override {
    const T *r = s.kept, *z = r + width, *q = z + width, *a = q + width;
    T *da = s.d, *dr = da + width, *dz = dr + width, *dq = dz + width;
    for (int64_t j = 0; j < width; j += step)
      (at(s.dh + j) * (V(T(1)) - at(z + j))).store(s.dvalue + j);
    f.differentiate(width, a, s.coefficients, s.dvalue, s.value, da, s.d_coefficients);
    for (int64_t j = 0; j < width; j += step) {
      const V reset = at(r + j), update = at(z + j), to_candidate = at(da + j);
      (to_candidate * reset).store(dq + j);
      (to_candidate * at(q + j) * slope(reset)).store(dr + j);
      (at(s.dh + j) * (at(s.h_before + j) - at(s.value + j)) * slope(update)).store(dz + j);
      (at(s.dh + j) * update).store(s.dh + j);
    }
  }
};

// The same with the reset before the product (Cho et al. 2014; TensorFlow's GRUCell).
template <class T>
class GruBefore : public Cell<T> {
  using typename Cell<T>::V;
  using Cell<T>::at, Cell<T>::sigmoid, Cell<T>::slope, Cell<T>::step, Cell<T>::width, Cell<T>::f;

 public:
  GruBefore(int64_t width, Activation<T> f) : Cell<T>(width, f) {
    this->gates = this->kept = this->blocks = 3;
    this->input_gates = {0, 1, 2};
    this->parts = {{0, 2}, {2, 1, OPENED}};
  }

  void open(const Forward<T>& s) const override {
    T *r = s.kept, *z = r + width;
    for (int64_t j = 0; j < width; j += step) {
      const V reset = sigmoid(at(s.x + j) + at(s.u + j));
      reset.store(r + j);
      sigmoid(at(s.x + width + j) + at(s.u + width + j)).store(z + j);
      (reset * at(s.h + j)).store(s.opened + j);
    }
  }

  void forward(const Forward<T>& s) const override {
    T *z = s.kept + width, *a = z + width;
    for (int64_t j = 0; j < width; j += step)
      (at(s.x + 2 * width + j) + at(s.u + 2 * width + j)).store(a + j);
    f.value(width, a, s.coefficients, s.value);
    for (int64_t j = 0; j < width; j += step)
      at::vec::fmadd(at(z + j), at(s.h + j) - at(s.value + j), at(s.value + j)).store(s.h + j);
  }

  void backward(const Backward<T>& s) const override {
    const T *r = s.kept, *z = r + width, *a = z + width;
    T *dz = s.d + width, *da = dz + width;
    for (int64_t j = 0; j < width; j += step)
      (at(s.dh + j) * (V(T(1)) - at(z + j))).store(s.dvalue + j);
    f.differentiate(width, a, s.coefficients, s.dvalue, s.value, da, s.d_coefficients);
    for (int64_t j = 0; j < width; j += step) {
      const V update = at(z + j);
      (at(s.dh + j) * (at(s.h_before + j) - at(s.value + j)) * slope(update)).store(dz + j);
      (at(s.dh + j) * update).store(s.dh + j);
      (at(r + j) * at(s.h_before + j)).store(s.opened + j);
    }
  }

  void reopen(const Backward<T>& s) const override {
    const T* r = s.kept;
    for (int64_t j = 0; j < width; j += step) {
      const V reset = at(r + j), gradient = at(s.d_opened + j);
      (gradient * at(s.h_before + j) * slope(reset)).store(s.d + j);
      at::vec::fmadd(gradient, reset, at(s.dh + j)).store(s.dh + j);
    }
  }
};

// z, c as in the Li-GRU (Ravanelli et al. 2018).
template <class T>
class LiGru : public Cell<T> {
  using typename Cell<T>::V;
  using Cell<T>::at, Cell<T>::sigmoid, Cell<T>::slope, Cell<T>::step, Cell<T>::width, Cell<T>::f;

 public:
  LiGru(int64_t width, Activation<T> f) : Cell<T>(width, f) {
    this->gates = this->kept = this->blocks = 2;
    this->input_gates = {0, 1};
  }

  void forward(const Forward<T>& s) const override {
    T *z = s.kept, *a = z + width;
    for (int64_t j = 0; j < width; j += step) {
      sigmoid(at(s.x + j) + at(s.u + j)).store(z + j);
      (at(s.x + width + j) + at(s.u + width + j)).store(a + j);
    }
    f.value(width, a, s.coefficients, s.value);
    for (int64_t j = 0; j < width; j += step)
      at::vec::fmadd(at(z + j), at(s.h + j) - at(s.value + j), at(s.value + j)).store(s.h + j);
  }

  void backward(const Backward<T>& s) const override {
    const T *z = s.kept, *a = z + width;
    for (int64_t j = 0; j < width; j += step)
      (at(s.dh + j) * (V(T(1)) - at(z + j))).store(s.dvalue + j);
    f.differentiate(width, a, s.coefficients, s.dvalue, s.value, s.d + width, s.d_coefficients);
    for (int64_t j = 0; j < width; j += step) {
      const V update = at(z + j);
      (at(s.dh + j) * (at(s.h_before + j) - at(s.value + j)) * slope(update)).store(s.d + j);
      (at(s.dh + j) * update).store(s.dh + j);
    }
  }
};

// i, f, g, o as torch.nn.LSTM. Kept: the gates, the candidate's x, c.
template <class T>
class Lstm : public Cell<T> {
  using typename Cell<T>::V;
  using Cell<T>::at, Cell<T>::sigmoid, Cell<T>::slope, Cell<T>::step, Cell<T>::width, Cell<T>::f;

 public:
  Lstm(int64_t width, Activation<T> f) : Cell<T>(width, f) {
    this->gates = this->blocks = 4;
    this->kept = 5;
    this->cell_state = 4;
    this->input_gates = {0, 1, 2, 3};
  }

  void forward(const Forward<T>& s) const override {
    T *i = s.kept, *forget = i + width, *a = forget + width, *o = a + width, *c = o + width;
    for (int64_t j = 0; j < width; j += step) {
      sigmoid(at(s.x + j) + at(s.u + j)).store(i + j);
      sigmoid(at(s.x + width + j) + at(s.u + width + j)).store(forget + j);
      (at(s.x + 2 * width + j) + at(s.u + 2 * width + j)).store(a + j);
      sigmoid(at(s.x + 3 * width + j) + at(s.u + 3 * width + j)).store(o + j);
    }
    f.value(width, a, s.coefficients, s.value);
    for (int64_t j = 0; j < width; j += step) {
      const V state = at::vec::fmadd(at(forget + j), at(s.c + j), at(i + j) * at(s.value + j));
      state.store(s.c + j);
      state.store(c + j);
      (at(o + j) * state.tanh()).store(s.h + j);
    }
  }

  void backward(const Backward<T>& s) const override {
    const T *i = s.kept, *forget = i + width, *a = forget + width, *o = a + width, *c = o + width;
    T *di = s.d, *df = di + width, *da = df + width, *d_o = da + width;
    for (int64_t j = 0; j < width; j += step) {
      const V out = at(o + j), squashed = at(c + j).tanh();
      (at(s.dh + j) * squashed * slope(out)).store(d_o + j);
      const V dc = at::vec::fmadd(at(s.dh + j) * out, V(T(1)) - squashed * squashed, at(s.dc + j));
      (dc * at(i + j)).store(s.dvalue + j);
      (dc * at(s.c_before + j) * slope(at(forget + j))).store(df + j);
      dc.store(s.dc + j);
      V(T(0)).store(s.dh + j);
    }
    f.differentiate(width, a, s.coefficients, s.dvalue, s.value, da, s.d_coefficients);
    for (int64_t j = 0; j < width; j += step) {
      (at(s.dc + j) * at(s.value + j) * slope(at(i + j))).store(di + j);
      (at(s.dc + j) * at(forget + j)).store(s.dc + j);
    }
  }
};

// g, o and the attention gate f = σ(V tanh(W c)) of Xie et al. 2019, whose recurrent weights are
// those of g, o, W and V. Kept: the candidate's x, o, f, tanh(W c), c.
template <class T>
class LstmAt : public Cell<T> {
  using typename Cell<T>::V;
  using Cell<T>::at, Cell<T>::sigmoid, Cell<T>::slope, Cell<T>::step, Cell<T>::width, Cell<T>::f;

 public:
  LstmAt(int64_t width, Activation<T> f) : Cell<T>(width, f) {
    this->gates = 2;
    this->kept = 5;
    this->blocks = 4;
    this->cell_state = 4;
    this->input_gates = {0, 1};
    this->parts = {{0, 2}, {2, 1, CELL_STATE}, {3, 1, OPENED}};
  }

  void open(const Forward<T>& s) const override {
    T* q = s.kept + 3 * width;
    for (int64_t j = 0; j < width; j += step) {
      const V squashed = at(s.u + 2 * width + j).tanh();
      squashed.store(q + j);
      squashed.store(s.opened + j);
    }
  }

  void forward(const Forward<T>& s) const override {
    T *a = s.kept, *o = a + width, *keep = o + width, *c = keep + 2 * width;
    for (int64_t j = 0; j < width; j += step) {
      (at(s.x + j) + at(s.u + j)).store(a + j);
      sigmoid(at(s.x + width + j) + at(s.u + width + j)).store(o + j);
      sigmoid(at(s.u + 3 * width + j)).store(keep + j);
    }
    f.value(width, a, s.coefficients, s.value);
    for (int64_t j = 0; j < width; j += step) {
      const V state = at::vec::fmadd(at(keep + j), at(s.c + j) - at(s.value + j), at(s.value + j));
      state.store(s.c + j);
      state.store(c + j);
      (at(o + j) * state.tanh()).store(s.h + j);
    }
  }

  void backward(const Backward<T>& s) const override {
    const T *a = s.kept, *o = a + width, *keep = o + width, *q = keep + width, *c = q + width;
    T *da = s.d, *d_o = da + width, *df = d_o + 2 * width;
    for (int64_t j = 0; j < width; j += step) {
      const V out = at(o + j), squashed = at(c + j).tanh();
      (at(s.dh + j) * squashed * slope(out)).store(d_o + j);
      const V dc = at::vec::fmadd(at(s.dh + j) * out, V(T(1)) - squashed * squashed, at(s.dc + j));
      (dc * (V(T(1)) - at(keep + j))).store(s.dvalue + j);
      dc.store(s.dc + j);
      at(q + j).store(s.opened + j);
      V(T(0)).store(s.dh + j);
    }
    f.differentiate(width, a, s.coefficients, s.dvalue, s.value, da, s.d_coefficients);
    for (int64_t j = 0; j < width; j += step) {
      const V kept = at(keep + j);
      (at(s.dc + j) * (at(s.c_before + j) - at(s.value + j)) * slope(kept)).store(df + j);
      (at(s.dc + j) * kept).store(s.dc + j);
    }
  }

  void reopen(const Backward<T>& s) const override {
    const T* q = s.kept + 3 * width;
    T* dq = s.d + 2 * width;
    for (int64_t j = 0; j < width; j += step) {
      const V squashed = at(q + j);
      (at(s.d_opened + j) * (V(T(1)) - squashed * squashed)).store(dq + j);
    }
  }
};

// h = φ(W x + U h + b), as torch.nn.RNN.
template <class T>
class Rnn : public Cell<T> {
  using Cell<T>::at, Cell<T>::step, Cell<T>::width, Cell<T>::f;

 public:
  Rnn(int64_t width, Activation<T> f) : Cell<T>(width, f) {
    this->gates = this->kept = this->blocks = 1;
    this->input_gates = {0};
  }

  void forward(const Forward<T>& s) const override {
    for (int64_t j = 0; j < width; j += step) (at(s.x + j) + at(s.u + j)).store(s.kept + j);
    f.value(width, s.kept, s.coefficients, s.h);
  }

  void backward(const Backward<T>& s) const override {
    f.differentiate(width, s.kept, s.coefficients, s.dh, s.value, s.d, s.d_coefficients);
    std::memset(s.dh, 0, width * sizeof(T));
  }
};

}  // namespace sercli

// Additive attention over padded sequences: Σ_t w_t h_t with w = softmax_t(u · tanh(W h_t + s)).
//
// A sequence is pooled on its own, up to its last real step, while its states are in the cache.
#pragma once

#include "product.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sercli {

// `_Problem` in fused_attention.py lists the same fields. Features are contiguous; steps of
// `states` and `d_states` are *_step numbers apart, sequences *_row. Gradients of the parameters
// are added to what is there.
template <class T>
struct Attention {
  int64_t batch, steps, size, space, width;  // features of a state; of the space, and padded
  const T* states;
  int64_t state_step, state_row;
  const bool* valid;            // (batch, steps)
  const T *project, *shift;     // W (space, size); s (batch, space), or (space) with shift_row = 0
  int64_t shift_row;
  const T* score;               // u (space)
  T *features, *weights;        // kept: tanh(W h + s) (batch, steps, width); w (batch, steps)
  T* pooled;                    // (batch, size)
  // Backwards only.
  const T* d_pooled;
  T* d_states;
  int64_t d_step, d_row;
  T *d_project, *d_shift, *d_score;

  // The number of steps up to the last real one.
  int64_t length(int64_t row) const {
    int64_t end = steps;
    while (end > 0 && !valid[row * steps + end - 1]) end--;
    return end;
  }
};

template <class T>
T dot(int64_t n, const T* a, const T* b) {
  Lanes<T> sums(T(0));
  int64_t i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>)
    sums = at::vec::fmadd(Lanes<T>::loadu(a + i), Lanes<T>::loadu(b + i), sums);
  T parts[lanes<T>], sum = 0;
  sums.store(parts);
  for (const T part : parts) sum += part;
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

template <class T>
void add_scaled(int64_t n, T factor, const T* from, T* to) {
  for (int64_t i = 0; i < n; i++) to[i] += factor * from[i];
}

// Softmax in place, with weight zero where `valid` is false. `scores` fill whole vectors.
template <class T>
void masked_softmax(int64_t n, const bool* valid, T* scores) {
  constexpr T never = -std::numeric_limits<T>::infinity();
  for (int64_t t = 0; t < rounded_up(n, lanes<T>); t++)
    if (t >= n || !valid[t]) scores[t] = never;
  const Lanes<T> largest(*std::max_element(scores, scores + n));
  T sum = 0;
  for (int64_t t = 0; t < n; t += lanes<T>)
    (Lanes<T>::loadu(scores + t) - largest).exp().store(scores + t);
  for (int64_t t = 0; t < n; t++) sum += scores[t];
  for (int64_t t = 0; t < n; t++) scores[t] /= sum;
}

template <class T>
void attend(const Attention<T>& a) {
  using M = Plain<T>;
  Buffer<T> project(packed_size<M>(a.size, a.width)), shift(a.width), score(a.width);
  Buffer<T> scores(rounded_up(a.steps, lanes<T>));
  pack<M>(a.size, a.width,
          [&](int64_t k, int64_t n) { return n < a.space ? a.project[n * a.size + k] : T(0); },
          project);
  std::copy_n(a.score, a.space, score.get());
  for (int64_t b = 0; b < a.batch; b++) {
    const int64_t count = a.length(b);
    const T* states = a.states + b * a.state_row;
    T* features = a.features + b * a.steps * a.width;
    T* pooled = a.pooled + b * a.size;
    std::copy_n(a.shift + b * a.shift_row, a.space, shift.get());
    product<M>(count, a.size, a.width, states, a.state_step, project, shift, 0, features, a.width);
    for (int64_t i = 0; i < count * a.width; i += lanes<T>)
      Lanes<T>::loadu(features + i).tanh().store(features + i);
    for (int64_t t = 0; t < count; t++) scores[t] = dot<T>(a.width, features + t * a.width, score);
    masked_softmax<T>(count, a.valid + b * a.steps, scores);
    std::copy_n(scores.get(), count, a.weights + b * a.steps);
    std::fill_n(pooled, a.size, T(0));
    for (int64_t t = 0; t < count; t++)
      if (scores[t] != 0) add_scaled<T>(a.size, scores[t], states + t * a.state_step, pooled);
  }
}

template <class T>
class AttendBack {
  using M = Plain<T>;

 public:
  explicit AttendBack(const Attention<T>& a)
      : a(a),
        size(rounded_up(a.size, lanes<T>)),
        project(packed_size<M>(a.width, size)),
        score(a.width),
        d_scores(a.steps),
        d_features(chunk * a.width),
        d_shift(a.width),
        d_project(a.width * size),
        d_score(a.width),
        dh(chunk * size),
        packed_left(packed_size<M>(chunk, a.width)),
        packed_right(packed_size<M>(chunk, size)) {
    pack<M>(a.width, size,
            [&](int64_t k, int64_t n) {
              return k < a.space && n < a.size ? a.project[k * a.size + n] : T(0);
            },
            project);
    std::copy_n(a.score, a.space, score.get());
  }

  void run() {
    for (int64_t b = 0; b < a.batch; b++) sequence(b);
    for (int64_t i = 0; i < a.space; i++)
      add_scaled<T>(a.size, 1, d_project + i * size, a.d_project + i * a.size);
    add_scaled<T>(a.space, 1, d_score, a.d_score);
  }

 private:
  static constexpr int64_t chunk = 64;  // steps that are multiplied at once

  void sequence(int64_t b) {
    const int64_t count = a.length(b);
    const T *states = a.states + b * a.state_row, *weights = a.weights + b * a.steps;
    const T* d_pooled = a.d_pooled + b * a.size;
    T* d_states = a.d_states + b * a.d_row;
    T mean = 0;
    for (int64_t t = 0; t < count; t++) {
      d_scores[t] = weights[t] ? dot<T>(a.size, d_pooled, states + t * a.state_step) : T(0);
      mean += weights[t] * d_scores[t];
    }
    for (int64_t t = 0; t < count; t++) d_scores[t] = weights[t] * (d_scores[t] - mean);
    std::fill_n(d_shift.get(), a.width, T(0));
    for (int64_t start = 0; start < count; start += chunk) {
      const int64_t some = std::min(chunk, count - start);
      through_tanh(some, a.features + (b * a.steps + start) * a.width, d_scores + start);
      add_to_project(some, states + start * a.state_step);
      product<M>(some, a.width, size, d_features, a.width, project, nullptr, 0, dh, size);
      for (int64_t t = 0; t < some; t++) {
        T* to = d_states + (start + t) * a.d_step;
        const T *from = dh + t * size, weight = weights[start + t];
        for (int64_t i = 0; i < a.size; i++) to[i] = from[i] + weight * d_pooled[i];
      }
    }
    for (int64_t t = count; t < a.steps; t++) std::fill_n(d_states + t * a.d_step, a.size, T(0));
    add_scaled<T>(a.space, 1, d_shift, a.d_shift + b * a.shift_row);
  }

  void through_tanh(int64_t count, const T* features, const T* d_scores) {
    using V = Lanes<T>;
    for (int64_t t = 0; t < count; t++, features += a.width)
      for (int64_t i = 0; i < a.width; i += lanes<T>) {
        const V f = V::loadu(features + i), ds(d_scores[t]);
        const V d = ds * V::loadu(score + i) * (V(T(1)) - f * f);
        d.store(d_features + t * a.width + i);
        (V::loadu(d_shift + i) + d).store(d_shift + i);
        at::vec::fmadd(ds, f, V::loadu(d_score + i)).store(d_score + i);
      }
  }

  void add_to_project(int64_t count, const T* states) {
    const T* d = d_features;
    const int64_t width = a.width, step = a.state_step, last = a.size - 1;
    pack_stripes<M>(count, width, [=](int64_t k, int64_t n) { return d[k * width + n]; },
                    packed_left);
    if (size == a.size)  // else columns after the last repeat it, and their sums are not read
      pack<M>(count, size, [=](int64_t k, int64_t n) { return states[k * step + n]; },
              packed_right);
    else
      pack<M>(count, size,
              [=](int64_t k, int64_t n) { return states[k * step + std::min(n, last)]; },
              packed_right);
    add_outer<M>(count, width, size, packed_left, packed_right, d_project);
  }

  const Attention<T>& a;
  const int64_t size;
  Buffer<T> project, score, d_scores, d_features, d_shift, d_project, d_score, dh;
  Buffer<T> packed_left, packed_right;
};

}  // namespace sercli

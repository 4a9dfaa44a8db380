// Functions that formulas of activations are made of: those of formula.py's rules.
// maximum, minimum and clamp are torch's own (at::vec).
#pragma once

#include <ATen/cpu/vec/vec.h>
#include <cmath>
#include <cstdint>
#include <limits>

namespace {

template <class V>
V one() { return V(typename V::value_type(1)); }

template <class V>
V number(double x) { return V(static_cast<typename V::value_type>(x)); }

template <class V>
V neg(V x) { return x.neg(); }

template <class V>
V absolute(V x) { return x.abs(); }

template <class V>
V sqrt(V x) { return x.sqrt(); }

template <class V>
V exp(V x) { return x.exp(); }

template <class V>
V expm1(V x) { return x.expm1(); }

template <class V>
V log(V x) { return x.log(); }

template <class V>
V log1p(V x) { return x.log1p(); }

template <class V>
V sin(V x) { return x.sin(); }

template <class V>
V cos(V x) { return x.cos(); }

template <class V>
V tanh(V x) { return x.tanh(); }

template <class V>
V atan(V x) { return x.atan(); }

template <class V>
V erf(V x) { return x.erf(); }

template <class V>
V choose(V mask, V yes, V no) { return V::blendv(no, yes, mask); }

template <class V>
V sign(V x) {
  const V zero = number<V>(0);
  return choose(x > zero, one<V>(), choose(x < zero, one<V>().neg(), zero));
}

// The gradient goes to the larger number, and halves to both where they are equal, as in torch.
template <class V>
V larger(V a, V b, V g) {
  const V zero = number<V>(0);
  return choose(a > b, g, choose(a == b, g * number<V>(0.5), zero));
}

template <class V>
V power(V x, V n) { return x.pow(n); }

template <class V>
V power_slope(V x, V n) { return n * x.pow(n - one<V>()); }

template <class V>
V sigmoid(V x) { return one<V>() / (one<V>() + x.neg().exp()); }

template <class V>
V softplus(V x) {
  return at::vec::maximum(x, number<V>(0)) + x.abs().neg().exp().log1p();
}

template <class V>
V erf_slope(V x) { return number<V>(1.1283791670955126) * (x * x).neg().exp(); }  // 2/√π

template <class V>
V silu_slope(V x) {
  const V s = sigmoid(x);
  return s * (one<V>() + x * (one<V>() - s));
}

template <class V>
V mish_slope(V x) {
  const V t = softplus(x).tanh();
  return t + x * sigmoid(x) * (one<V>() - t * t);
}

template <class V>
V normal_share(V x) {  // Φ(x)
  return number<V>(0.5) * (one<V>() + (x * number<V>(0.7071067811865476)).erf());
}

template <class V>
V gelu(V x) { return x * normal_share(x); }

template <class V>
V gelu_slope(V x) {
  const V density = number<V>(0.3989422804014327) * (x * x * number<V>(-0.5)).exp();
  return normal_share(x) + x * density;
}

template <class V>
V softsign_slope(V x) {
  const V d = one<V>() + x.abs();
  return one<V>() / (d * d);
}

// x·scale above zero, below it height·expm1(x / bend): ELU, CELU and SELU.
template <class V>
V elu(V x, V scale, V height, V bend) {
  const V below = at::vec::minimum(x, number<V>(0));
  return choose(x > number<V>(0), scale * x, height * (below / bend).expm1());
}

template <class V>
V elu_slope(V x, V scale, V height, V bend) {
  const V below = at::vec::minimum(x, number<V>(0));
  return choose(x > number<V>(0), scale, height / bend * (below / bend).exp());
}

}  // namespace

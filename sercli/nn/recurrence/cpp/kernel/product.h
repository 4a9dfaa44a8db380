// Products of small matrices on one thread, near the peak of the core.
//
// A recurrence multiplies a few rows by the same weights at every step, too little work to share
// among threads. So each thread multiplies on its own: the weights are packed once in the order in
// which the inner loop reads them, and a tile of the result stays in registers while the loop runs
// over the inner dimension.
#pragma once

#include <ATen/cpu/vec/vec.h>
#include <cstdint>
#include <cstring>
#include <vector>

namespace sercli {

template <class T>
using Lanes = at::vec::Vectorized<T>;

template <class T>
constexpr int64_t lanes = Lanes<T>::size();

inline int64_t rounded_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Zeroed memory, aligned to a cache line.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t size = 0) : memory_(size + 64 / sizeof(T), T(0)) {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    data_ = memory_.data() + (64 - address % 64) % 64 / sizeof(T);
  }
  Buffer(Buffer&&) = default;
  Buffer& operator=(Buffer&&) = default;
  operator T*() { return data_; }
  operator const T*() const { return data_; }
  T* get() { return data_; }
  const T* get() const { return data_; }

 private:
  std::vector<T> memory_;
  T* data_;
};

// The representation of numbers in a product. `Item` is stored and broadcast and holds `depth`
// steps of the inner dimension; sums are of type `Number`.
template <class T>
struct Plain {
  using Number = T;
  using Item = T;
  static constexpr int depth = 1;
  static Item item(T low, T) { return low; }
  static Lanes<T> load(const Item* p) { return Lanes<T>::loadu(p); }
  static Lanes<T> broadcast(const Item* p) { return Lanes<T>(*p); }
  static Lanes<T> multiply_add(Lanes<T> a, Lanes<T> b, Lanes<T> sum) {
    return at::vec::fmadd(a, b, sum);
  }
};

// Two bfloat16 numbers, the lower one first, as the dot product instruction takes them. On a
// processor without it each pair is widened: the same products of the same rounded numbers.
struct Pairs {
  using Number = float;
  using Item = uint32_t;
  static constexpr int depth = 2;
  static uint32_t rounded(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return (bits >> 16) | 0x40;  // stays NaN
    return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  }
  static Item item(float low, float high) { return rounded(low) | rounded(high) << 16; }
#if defined(__AVX512BF16__)
  using Vector = __m512i;
  static Vector load(const Item* p) { return _mm512_loadu_si512(p); }
  static Vector broadcast(const Item* p) { return _mm512_set1_epi32(static_cast<int>(*p)); }
  static Lanes<float> multiply_add(Vector a, Vector b, Lanes<float> sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
#else
  struct Vector {
    Lanes<float> low, high;
  };
  static Vector widened(const Item* p, bool same) {
    float low[lanes<float>], high[lanes<float>];
    for (int64_t i = 0; i < lanes<float>; i++) {
      const uint32_t pair = same ? *p : p[i], below = pair << 16, above = pair & 0xffff0000;
      std::memcpy(low + i, &below, 4);
      std::memcpy(high + i, &above, 4);
    }
    return {Lanes<float>::loadu(low), Lanes<float>::loadu(high)};
  }
  static Vector load(const Item* p) { return widened(p, false); }
  static Vector broadcast(const Item* p) { return widened(p, true); }
  static Lanes<float> multiply_add(Vector a, Vector b, Lanes<float> sum) {
    return at::vec::fmadd(a.high, b.high, at::vec::fmadd(a.low, b.low, sum));
  }
#endif
};

#if defined(CPU_CAPABILITY_AVX512)
constexpr int tile_rows = 8;  // 8 × 3 sums, 3 columns and 1 broadcast fit in 32 registers
#else
constexpr int tile_rows = 4;  // 4 × 3 in 16
#endif

// Columns are cut into panels of two or three vectors, of one only if there is no other way.
inline int64_t panel_vectors(int64_t left) {
  return left == 3 || left > 4 ? 3 : left >= 2 ? 2 : 1;
}

// Lay out a matrix (inner × columns) for `product`: panel by panel, in each the inner dimension
// runs slowest. `at(k, n)` gives an element; columns must fill whole vectors.
template <class M, class At>
void pack(int64_t inner, int64_t columns, At at, typename M::Item* packed) {
  using Number = typename M::Number;
  for (int64_t n = 0; n < columns;) {
    const int64_t width = panel_vectors((columns - n) / lanes<Number>) * lanes<Number>;
    for (int64_t k = 0; k < inner; k += M::depth)
      for (int64_t j = 0; j < width; j++)
        *packed++ = M::item(at(k, n + j), k + 1 < inner ? at(k + 1, n + j) : Number(0));
    n += width;
  }
}

template <class M>
int64_t packed_size(int64_t inner, int64_t columns) {
  return rounded_up(inner, M::depth) / M::depth * columns;
}

// One tile of the result. Item i of inner step k of the left matrix is left[i·row + k·step].
template <class M, int rows, int vectors>
void tile(int64_t inner, const typename M::Item* left, int64_t row, int64_t step,
          const typename M::Item* right, const typename M::Number* start, int64_t start_row,
          typename M::Number* result, int64_t result_row) {
  using Number = typename M::Number;
  constexpr int64_t width = lanes<Number>;
  Lanes<Number> sums[rows][vectors];
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++)
      sums[i][j] = start ? Lanes<Number>::loadu(start + i * start_row + j * width)
                         : Lanes<Number>(Number(0));
  for (int64_t k = 0; k < inner; k++, right += vectors * width, left += step) {
    decltype(M::load(right)) columns[vectors];
    for (int j = 0; j < vectors; j++) columns[j] = M::load(right + j * width);
    for (int i = 0; i < rows; i++) {
      const auto number = M::broadcast(left + i * row);
      for (int j = 0; j < vectors; j++)
        sums[i][j] = M::multiply_add(number, columns[j], sums[i][j]);
    }
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++) sums[i][j].store(result + i * result_row + j * width);
}

template <class M, int rows, class... Rest>
void tile_of(int64_t vectors, Rest... rest) {
  if (vectors == 3) tile<M, rows, 3>(rest...);
  else if (vectors == 2) tile<M, rows, 2>(rest...);
  else tile<M, rows, 1>(rest...);
}

// result (rows × columns) = start + left (rows × inner) · packed right. `start` may be null, or
// one row for all (start_row = 0), or the result itself. Rows of `left` are `left_row` items apart.
template <class M>
void product(int64_t rows, int64_t inner, int64_t columns, const typename M::Item* left,
             int64_t left_row, const typename M::Item* right, const typename M::Number* start,
             int64_t start_row, typename M::Number* result, int64_t result_row) {
  using Number = typename M::Number;
  const int64_t items = rounded_up(inner, M::depth) / M::depth;
  for (int64_t n = 0; n < columns;) {
    const int64_t vectors = panel_vectors((columns - n) / lanes<Number>);
    const auto run = [&](auto height, int64_t m) {
      tile_of<M, decltype(height)::value>(
          vectors, items, left + m * left_row, left_row, int64_t(1), right,
          start ? start + m * start_row + n : nullptr, start_row, result + m * result_row + n,
          result_row);
    };
    int64_t m = 0;
    for (; m + tile_rows <= rows; m += tile_rows) run(std::integral_constant<int, tile_rows>(), m);
    for (; m + 4 <= rows; m += 4) run(std::integral_constant<int, 4>(), m);
    for (; m + 2 <= rows; m += 2) run(std::integral_constant<int, 2>(), m);
    for (; m < rows; m++) run(std::integral_constant<int, 1>(), m);
    right += items * vectors * lanes<Number>;
    n += vectors * lanes<Number>;
  }
}

// sum (left columns × right columns) += leftᵀ · right over `count` rows, both packed: the gradient
// of weights. `left` is packed in stripes of `stripe` columns.
constexpr int64_t stripe = tile_rows;

template <class M, class At>
void pack_stripes(int64_t count, int64_t columns, At at, typename M::Item* packed) {
  using Number = typename M::Number;
  for (int64_t n = 0; n < columns; n += stripe)
    for (int64_t k = 0; k < count; k += M::depth)
      for (int64_t j = 0; j < stripe; j++)
        *packed++ = M::item(at(k, n + j), k + 1 < count ? at(k + 1, n + j) : Number(0));
}

template <class M>
void add_outer(int64_t count, int64_t left_columns, int64_t right_columns,
               const typename M::Item* left, const typename M::Item* right,
               typename M::Number* sum) {
  using Number = typename M::Number;
  const int64_t items = rounded_up(count, M::depth) / M::depth;
  for (int64_t k = 0; k < right_columns;) {
    const int64_t vectors = panel_vectors((right_columns - k) / lanes<Number>);
    for (int64_t n = 0; n < left_columns; n += stripe) {
      Number* at = sum + n * right_columns + k;
      tile_of<M, tile_rows>(vectors, items, left + n * items, int64_t(1), stripe, right, at,
                            right_columns, at, right_columns);
    }
    right += items * vectors * lanes<Number>;
    k += vectors * lanes<Number>;
  }
}

}  // namespace sercli

// Many recurrences in one call, forward and backward.
//
// The sequences of each are cut into slices, and one thread takes a slice through all of its
// steps: threads never wait for each other in between, and a state stays in its thread's cache.
#include "attention.h"
#include "backward.h"
#include "forward.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <atomic>
#include <functional>

namespace sercli {
namespace {

// Run tasks on torch's threads, the next free thread taking the next task.
void run_all(int64_t count, const std::function<void(int64_t)>& task) {
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), count);
  if (threads <= 1) {
    for (int64_t i = 0; i < count; i++) task(i);
    return;
  }
  std::atomic<int64_t> next{0};
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    for (int64_t i = next++; i < count; i = next++) task(i);
  });
}

template <class T>
double cost(const Problem<T>& p) {
  double steps = 0;
  for (int64_t b = 0; b < p.batch; b++) steps += p.lengths[b];
  return steps * p.width() * (p.width() + p.input_width());
}

// The smallest number of sequences in a slice; with fewer, the weights are read too often.
constexpr int64_t fewest_rows = 4;

// Deal the sequences out in turn, the longest first, so that all slices have the same work.
template <class T>
std::vector<std::vector<int64_t>> dealt_out(const Problem<T>& p, int64_t parts) {
  std::vector<int64_t> order(p.batch);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return p.lengths[a] > p.lengths[b]; });
  std::vector<std::vector<int64_t>> dealt(parts);
  for (int64_t i = 0; i < p.batch; i++) dealt[i % parts].push_back(order[i]);
  return dealt;
}

// Cut each recurrence into slices by its share of the work, the most expensive slice first.
template <class T>
std::vector<Slice<T>> slices_of(const Problem<T>* problems, int64_t count,
                                const std::vector<std::unique_ptr<Cell<T>>>& cells) {
  const int64_t threads = at::get_num_threads();
  double total = 0;
  for (int64_t i = 0; i < count; i++) total += cost(problems[i]);
  std::vector<std::pair<double, Slice<T>>> slices;
  for (int64_t i = 0; i < count; i++) {
    const auto& p = problems[i];
    const double share = total > 0 ? threads * cost(p) / total : 0;
    const auto most = std::max<int64_t>(1, p.batch / fewest_rows);
    // Recurrences that cannot be dealt out evenly are cut finer, so that no thread idles long.
    const double finer = count % threads == 0 || count > 4 * threads || threads == 1 ? 1 : 2;
    const auto parts = std::clamp<int64_t>(
        static_cast<int64_t>(std::ceil((count == 1 ? 1 : finer) * share - 1e-9)), 1, most);
    for (auto& members : dealt_out(p, parts))
      slices.push_back({cost(p) / parts, Slice<T>(&p, cells[i].get(), std::move(members))});
  }
  std::stable_sort(slices.begin(), slices.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Slice<T>> sorted;
  for (auto& slice : slices) sorted.push_back(std::move(slice.second));
  return sorted;
}

// Pack the weights of all recurrences, then run all slices.
template <class M, template <class> class Pass, template <class> class Packed>
std::vector<std::unique_ptr<Pass<M>>> run_passes(
    const Problem<typename M::Number>* problems, int64_t count,
    const std::vector<std::unique_ptr<Cell<typename M::Number>>>& cells,
    const std::vector<Slice<typename M::Number>>& slices) {
  std::vector<std::unique_ptr<Packed<M>>> weights(count);
  run_all(count, [&](int64_t i) {
    weights[i] = std::make_unique<Packed<M>>(problems[i], *cells[i]);
  });
  std::vector<std::unique_ptr<Pass<M>>> passes(slices.size());
  run_all(slices.size(), [&](int64_t i) {
    const auto& slice = slices[i];
    if (!slice.rows()) return;
    passes[i] = std::make_unique<Pass<M>>(slice, *weights[slice.problem - problems]);
    passes[i]->run();
  });
  return passes;
}

template <class T>
std::vector<std::unique_ptr<Cell<T>>> cells_of(const Problem<T>* problems, int64_t count) {
  std::vector<std::unique_ptr<Cell<T>>> cells;
  for (int64_t i = 0; i < count; i++) cells.push_back(new_cell(problems[i]));
  return cells;
}

template <class M>
void forward(const Problem<typename M::Number>* problems, int64_t count) {
  const auto cells = cells_of(problems, count);
  const auto slices = slices_of(problems, count, cells);
  run_passes<M, ForwardPass, ForwardWeights>(problems, count, cells, slices);
}

// The gradients must start at zero. Slices are added up in a fixed order, so that the result does
// not depend on the order in which threads finish.
template <class M>
void backward(const Problem<typename M::Number>* problems, int64_t count) {
  const auto cells = cells_of(problems, count);
  const auto slices = slices_of(problems, count, cells);
  const auto passes = run_passes<M, BackwardPass, BackwardWeights>(problems, count, cells, slices);
  run_all(count, [&](int64_t i) {
    for (size_t s = 0; s < slices.size(); s++)
      if (slices[s].problem == problems + i && passes[s]) passes[s]->add_up();
  });
}

}  // namespace
}  // namespace sercli

// The interface to launch.py. Numbers kept for the backward pass, per sequence and step.
extern "C" {

int64_t sercli_kept(int64_t cell, int64_t hidden, int64_t is_double) {
  const auto size = [&](auto number) {
    using T = decltype(number);
    sercli::Problem<T> p{};
    p.cell = cell;
    p.hidden = hidden;
    return sercli::new_cell(p)->kept * p.width();
  };
  return is_double ? size(double()) : size(float());
}

void sercli_forward_float(const void* problems, int64_t count) {
  sercli::forward<sercli::Plain<float>>(static_cast<const sercli::Problem<float>*>(problems), count);
}
void sercli_forward_double(const void* problems, int64_t count) {
  sercli::forward<sercli::Plain<double>>(static_cast<const sercli::Problem<double>*>(problems), count);
}
void sercli_forward_pairs(const void* problems, int64_t count) {
  sercli::forward<sercli::Pairs>(static_cast<const sercli::Problem<float>*>(problems), count);
}
void sercli_backward_float(const void* problems, int64_t count) {
  sercli::backward<sercli::Plain<float>>(static_cast<const sercli::Problem<float>*>(problems), count);
}
void sercli_backward_double(const void* problems, int64_t count) {
  sercli::backward<sercli::Plain<double>>(static_cast<const sercli::Problem<double>*>(problems), count);
}
void sercli_backward_pairs(const void* problems, int64_t count) {
  sercli::backward<sercli::Pairs>(static_cast<const sercli::Problem<float>*>(problems), count);
}

// The interface to fused_attention.py.
void sercli_attend_float(const void* given) {
  sercli::attend(*static_cast<const sercli::Attention<float>*>(given));
}
void sercli_attend_double(const void* given) {
  sercli::attend(*static_cast<const sercli::Attention<double>*>(given));
}
void sercli_attend_back_float(const void* given) {
  sercli::AttendBack<float>(*static_cast<const sercli::Attention<float>*>(given)).run();
}
void sercli_attend_back_double(const void* given) {
  sercli::AttendBack<double>(*static_cast<const sercli::Attention<double>*>(given)).run();
}
}

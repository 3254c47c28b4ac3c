// Times engines that C can call, one thread, in CPU time of that thread, so that no interpreter is in the figures.
//
//   native lightgbm LIBRARY MODEL ROWS FEATURES     LightGBM's C API: SingleRowFast for one row, PredictForMat for more
//   native xgboost  LIBRARY MODEL ROWS FEATURES     XGBoost's C API: inplace prediction of dense float32 rows
//   native lleaves  LIBRARY -     ROWS FEATURES     the function that lleaves compiled
//   native tl2cgen  LIBRARY -     ROWS FEATURES     the function that tl2cgen compiled; the copy of a row into its form is part of the time
//
// ROWS is float64, row-major. Commands come line by line on standard input and answers begin with "= ", since libraries print too:
//   time BATCH SECONDS    = nanoseconds for each row, over at least SECONDS of one thread's CPU time
//   score FILE            = ok, and FILE has a float64 margin for each row
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

// Score writes the margins of count rows from the first one on.
using Score = std::function<void(size_t first, size_t count)>;

struct Rows {
  std::vector<double> values;
  std::vector<float> narrow;
  std::vector<double> margins;
  int features;
  size_t count() const { return margins.size(); }
};

[[noreturn]] static void fail(const std::string& why) {
  std::cerr << why << std::endl;
  exit(1);
}

static void check(int status, const char* (*message)()) {
  if (status != 0) fail(message());
}

struct Library {
  explicit Library(const char* path) : handle(dlopen(path, RTLD_NOW)) {
    if (handle == nullptr) fail(dlerror());
  }
  template <class Function>
  Function* find(const char* name) const {
    void* found = dlsym(handle, name);
    if (found == nullptr) fail(dlerror());
    return reinterpret_cast<Function*>(found);
  }
  void* handle;
};

// Constants are C_API_DTYPE_FLOAT64 = 1 and C_API_PREDICT_RAW_SCORE = 1; all iterations are 0, -1.
static Score lightgbm(const Library& library, const char* model, Rows& rows) {
  auto message = library.find<const char*()>("LGBM_GetLastError");
  auto load = library.find<int(const char*, int*, void**)>("LGBM_BoosterCreateFromModelfile");
  auto prepare = library.find<int(void*, int, int, int, int, int32_t, const char*, void**)>("LGBM_BoosterPredictForMatSingleRowFastInit");
  auto one = library.find<int(void*, const void*, int64_t*, double*)>("LGBM_BoosterPredictForMatSingleRowFast");
  auto many =
      library.find<int(void*, const void*, int, int32_t, int32_t, int, int, int, int, const char*, int64_t*, double*)>("LGBM_BoosterPredictForMat");
  int iterations;
  void *booster, *fast;
  check(load(model, &iterations, &booster), message);
  check(prepare(booster, 1, 0, -1, 1, rows.features, "num_threads=1", &fast), message);
  return [=, &rows](size_t first, size_t count) {
    const double* values = &rows.values[first * rows.features];
    int64_t written;
    if (count == 1)
      check(one(fast, values, &written, &rows.margins[first]), message);
    else
      check(many(booster, values, 1, count, rows.features, 1, 1, 0, -1, "num_threads=1", &written, &rows.margins[first]), message);
  };
}

// The matrix and the settings are JSON texts by that library's design, so writing the former is part of the time.
static Score xgboost(const Library& library, const char* model, Rows& rows) {
  auto message = library.find<const char*()>("XGBGetLastError");
  auto create = library.find<int(const void**, uint64_t, void**)>("XGBoosterCreate");
  auto load = library.find<int(void*, const char*)>("XGBoosterLoadModel");
  auto set = library.find<int(void*, const char*, const char*)>("XGBoosterSetParam");
  auto predict = library.find<int(void*, const char*, const char*, void*, const uint64_t**, uint64_t*, const float**)>("XGBoosterPredictFromDense");
  void* booster;
  check(create(nullptr, 0, &booster), message);
  check(load(booster, model), message);
  check(set(booster, "nthread", "1"), message);
  return [=, &rows](size_t first, size_t count) {
    char matrix[160];
    snprintf(matrix, sizeof matrix, R"({"data":[%zu,true],"shape":[%zu,%d],"typestr":"<f4","version":3})",
             reinterpret_cast<size_t>(&rows.narrow[first * rows.features]), count, rows.features);
    const char* settings =
        R"({"type":1,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false,"cache_id":0,"missing":NaN})";
    const uint64_t* shape;
    uint64_t dimensions;
    const float* margins;
    check(predict(booster, matrix, settings, nullptr, &shape, &dimensions, &margins), message);
    std::copy_n(margins, count, &rows.margins[first]);
  };
}

static Score lleaves(const Library& library, Rows& rows) {
  auto predict = library.find<void(double*, double*, int, int)>("forest_root");
  return [=, &rows](size_t first, size_t count) { predict(rows.values.data(), rows.margins.data(), first, first + count); };
}

static Score tl2cgen(const Library& library, Rows& rows) {
  union Value {
    int missing;  // -1: a number whose low 32 bits are all 1 is taken for missing, which is why a few rows come out otherwise
    double number;
  };
  auto predict = library.find<void(Value*, int, double*)>("predict");
  return [=, &rows, row = std::vector<Value>(rows.features)](size_t first, size_t count) mutable {
    for (size_t i = first; i < first + count; i++) {
      for (int f = 0; f < rows.features; f++) {
        double value = rows.values[i * rows.features + f];
        if (std::isnan(value))
          row[f].missing = -1;
        else
          row[f].number = value;
      }
      predict(row.data(), 1, &rows.margins[i]);
    }
  };
}

// seconds of CPU time that this thread has used.
static double spent() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

// Measures in one span, of a number of calls that grows until they take long enough: the shorter spans before it are the warm-up.
// Successive calls walk through all rows, since a few that repeat would be learnt by the branch predictor.
static double nanoseconds(const Score& score, size_t rows, size_t batch, double seconds) {
  static size_t first = 0;
  for (double calls = 1;;) {
    double begin = spent();
    for (size_t i = 0; i < calls; i++) {
      if (first + batch > rows) first = 0;
      score(first, batch);
      first += batch;
    }
    double took = spent() - begin;
    if (took >= seconds) return 1e9 * took / (std::ceil(calls) * batch);
    calls *= took > 0 ? std::clamp(1.1 * seconds / took, 1.2, 16.0) : 16;
  }
}

int main(int argc, char** argv) {
  if (argc != 6) fail("usage: native KIND LIBRARY MODEL ROWS FEATURES");
  std::string kind = argv[1];
  Library library(argv[2]);
  Rows rows;
  rows.features = atoi(argv[5]);
  std::ifstream file(argv[4], std::ios::binary | std::ios::ate);
  if (!file) fail(std::string("cannot read ") + argv[4]);
  rows.values.resize(static_cast<size_t>(file.tellg()) / sizeof(double));
  file.seekg(0).read(reinterpret_cast<char*>(rows.values.data()), rows.values.size() * sizeof(double));
  rows.narrow.assign(rows.values.begin(), rows.values.end());
  rows.margins.resize(rows.values.size() / rows.features);
  Score score = kind == "lightgbm"  ? lightgbm(library, argv[3], rows)
                : kind == "xgboost" ? xgboost(library, argv[3], rows)
                : kind == "lleaves" ? lleaves(library, rows)
                : kind == "tl2cgen" ? tl2cgen(library, rows)
                                    : Score();
  if (!score) fail("no such kind: " + kind);
  for (std::string line, command; std::getline(std::cin, line);) {
    std::istringstream words(line);
    words >> command;
    if (command == "time") {
      size_t batch;
      double seconds;
      words >> batch >> seconds;
      std::cout << "= " << nanoseconds(score, rows.count(), batch, seconds) << std::endl;
    } else if (command == "score") {
      std::string path;
      words >> path;
      std::fill(rows.margins.begin(), rows.margins.end(), 0);
      score(0, rows.count());
      std::ofstream out(path, std::ios::binary);
      out.write(reinterpret_cast<const char*>(rows.margins.data()), rows.count() * sizeof(double));
      if (!out.flush()) fail("cannot write " + path);
      std::cout << "= ok" << std::endl;
    } else {
      fail("no such command: " + line);
    }
  }
}

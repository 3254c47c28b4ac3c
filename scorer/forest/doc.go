// Package forest scores tree ensembles as the library that wrote them does, bit for bit. It reads LightGBM text models, versions 2 to 4.
//
// Sources: LightGBM 4.6, include/LightGBM/tree.h (decisions), src/boosting/gbdt_model_text.cpp (the format), src/boosting/gbdt_prediction.cpp
// (the sum), src/c_api.cpp (rows), src/objective (transforms); glibc 2.36 for exp and log1p, which those transforms call.
package forest

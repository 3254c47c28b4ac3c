// Package forest scores tree ensembles as the library that wrote them does, bit for bit. It reads LightGBM text models, versions 2 to 4, and
// XGBoost's JSON and UBJSON models, 1.0 to 3.x.
//
// Sources: LightGBM 4.6, include/LightGBM/tree.h (decisions), src/boosting/gbdt_model_text.cpp (the format), src/boosting/gbdt_prediction.cpp
// (the sum), src/c_api.cpp (rows), src/objective (transforms), include/LightGBM/utils/common.h (the sigmoid's number); XGBoost 3.2,
// doc/model.schema, src/predictor (decisions and sum), src/common/categorical.h, src/common/math.h, src/objective; glibc 2.36 for exp, expf,
// log1p and logf, which the libraries call.
package forest

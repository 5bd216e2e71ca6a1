/* Gradients with respect to the inputs of every op, for each pair of error types that a step can have. */
#include "arithmetic.h"

#define JOINED(a, b) a##_##b
#define JOIN(a, b) JOINED(a, b)
#define NAME(name) JOIN(name, SUFFIX)

#define SUFFIX f32_f32
#define GY float
#define GX float
#define GY_INTEGER 0
#define GX_INTEGER 0
#include "grad_body.h"
#undef SUFFIX
#undef GX
#undef GX_INTEGER

#define SUFFIX f32_i16
#define GX int16_t
#define GX_INTEGER 32767
#include "grad_body.h"
#undef SUFFIX
#undef GX
#undef GX_INTEGER

#define SUFFIX f32_i8
#define GX int8_t
#define GX_INTEGER 127
#include "grad_body.h"
#undef SUFFIX
#undef GY
#undef GY_INTEGER

#define SUFFIX i8_i8
#define GY int8_t
#define GY_INTEGER 127
#include "grad_body.h"
#undef SUFFIX
#undef GX
#undef GX_INTEGER
#undef GY
#undef GY_INTEGER

#define SUFFIX i16_i16
#define GY int16_t
#define GX int16_t
#define GY_INTEGER 32767
#define GX_INTEGER 32767
#include "grad_body.h"

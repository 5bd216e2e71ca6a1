/* One layer, by mcusim's kernel and by CMSIS-NN's: cmsis_nn.py compiles it, fills the arrays and counts. */
#include "arm_nnfunctions.h"
#include "mcusim.h"
#include "records.h"

#define OUTSIDE __attribute__((section(".twin"), aligned(8)))
#define ARENA __attribute__((section(".arena"), aligned(8)))

OUTSIDE int8_t x[H * W * CI], weight[WEIGHTS], theirs[OH * OW * CO];
OUTSIDE int32_t bias[CO], multiplier[CO], shift[CO];
OUTSIDE int8_t short_shift[CO];
OUTSIDE float factor[CO];
ARENA int8_t ours[OH * OW * CO > H * W * CI ? OH * OW * CO : H * W * CI]; /* in place: the input too */
OUTSIDE int8_t plane[(H + 2) * (W + 2)];

#define WINDOW {H, W, CI, OH, OW, CO, K, K, STRIDE, STRIDE, 1, 1, K / 2, K / 2}
#define RECORD(FROM, ROUNDING)                                                                             \
    {.x = FROM, .weight = weight, .bias = bias, .y = ours, .scratch = plane, .window = WINDOW,             \
     .x_zero = X_ZERO, .bottom = K / 2, .right = K / 2,                                                    \
     .output = {multiplier, short_shift, factor, Y_ZERO, -128, 127, ROUNDING}}

static const mcusim_convolution fixed = RECORD(FROM, MCUSIM_FIXED), nearest = RECORD(FROM, MCUSIM_NEAREST);

__attribute__((noinline, used)) void twin_wait(void) { __asm volatile(""); }

static void by_cmsis_nn(void) {
    static const cmsis_nn_dims in = {1, H, W, CI}, filter = {CO, K, K, CI}, ones = {1, 1, 1, CO}, out = {1, OH, OW, CO};
    static const cmsis_nn_per_channel_quant_params quant = {multiplier, shift};
    static const cmsis_nn_context context = {0, 0};
#if K == 1
    static const cmsis_nn_conv_params params = {-X_ZERO, Y_ZERO, {1, 1}, {0, 0}, {1, 1}, {-128, 127}};
    arm_convolve_1x1_s8_fast(&context, &params, &quant, &in, x, &filter, weight, &ones, bias, &out, theirs);
#else
    static const cmsis_nn_dw_conv_params params = {-X_ZERO, Y_ZERO, 1, {STRIDE, STRIDE}, {1, 1}, {1, 1}, {-128, 127}};
    arm_depthwise_conv_3x3_s8(&context, &params, &quant, &in, x, &filter, weight, &ones, bias, &out, theirs);
#endif
}

int main(void) {
    twin_wait();
    KERNEL(&fixed, 0);
    twin_wait();
    KERNEL(&nearest, 0);
    twin_wait();
    by_cmsis_nn();
    twin_wait();
    return 0;
}

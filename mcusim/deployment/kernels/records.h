/* What each kernel is told: where its tensors lie and what they mean. One record an op, in flash.
 *
 * Layouts are those of TFLite: activations NHWC, convolution weights OHWI, depthwise weights 1HWC, weights of
 * fully connected layers (out, in). x is what an op reads, y what it writes, g a gradient, mask one bit an
 * element: was the output inside its clamp. Sizes are elements unless they say bytes. */
#ifndef MCUSIM_RECORDS_H
#define MCUSIM_RECORDS_H

#include "mcusim.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MCUSIM_FIXED, MCUSIM_NEAREST, MCUSIM_TRUNCATED, MCUSIM_WIDE, MCUSIM_UPPER, MCUSIM_ONCE };

/* How an accumulator becomes an int8: fixed-point multipliers, or a float32 factor, one a channel. A sum that can
 * leave 32 bits with its bias is MCUSIM_WIDE: taken apart from it again, and rounded as MCUSIM_NEAREST. Sums of 64
 * bits are multiplied by the upper bits of a multiplier alone: MCUSIM_UPPER. Of MCUSIM_ONCE the factors are the bits
 * of float64 numbers, and there is one rounding. */
typedef struct {
    const int32_t *multiplier;      /* of MCUSIM_WIDE: the bias, as it is now */
    const int8_t *shift;
    const float *factor;
    int16_t zero, low, high;
    uint8_t rounding;
} mcusim_output;

/* Which inputs meet which outputs through a window. */
typedef struct {
    uint16_t h, w, ci, oh, ow, co;
    uint8_t kh, kw, sh, sw, dh, dw;
    int8_t top, left;
} mcusim_window;

typedef struct {
    const int8_t *x, *weight;
    const int32_t *bias;            /* NULL: none */
    int8_t *y;
    uint8_t *mask;                  /* NULL: nobody reads it */
    void *scratch;
    mcusim_window window;
    int16_t x_zero, weight_zero;
    uint8_t bottom, right;          /* padding, where a padded plane is made */
    mcusim_output output;
    const int8_t *columns;          /* learning input channels [n][kh][kw][co] that overlay weight; NULL: none */
    const int16_t *channels;        /* which they are */
    uint16_t count;
    uint16_t groups;                /* of channels that do not meet, where there are some */
} mcusim_convolution;

typedef struct {
    const void *x, *weight, *bias;
    void *y;
    uint8_t *mask;
    uint16_t inputs, outputs, rows;
    int16_t x_zero, weight_zero;
    mcusim_output output;
    float low, high;                /* of a float32 layer */
} mcusim_dense;

/* Learning input channels in SRAM that are laid over weights in flash. */
typedef struct {
    const void *columns;            /* [count][outputs] */
    const int16_t *channels;        /* which they are, ascending */
    uint16_t count;
} mcusim_overlay;

typedef struct {
    mcusim_dense dense;
    mcusim_overlay overlay;
} mcusim_overlaid_dense;

/* An op whose weight lives in a copy in flash: the kernel that is run with it, and where it is in the copy. */
typedef struct {
    mcusim_kernel *run;
    const mcusim_residence *now;
    uint32_t at;
} mcusim_home;

typedef struct {
    mcusim_home home;
    mcusim_convolution convolution;
} mcusim_homed_convolution;

typedef struct {
    mcusim_home home;
    mcusim_overlaid_dense overlaid;
} mcusim_homed_dense;

/* Products of rows of a and columns of b: dims are those of y, stacks first. */
typedef struct {
    const int8_t *a, *b;
    int8_t *y;
    uint8_t *mask;
    uint16_t dims[4];
    uint32_t a_stride[4], b_stride[4];
    uint32_t a_inner, b_inner;      /* along what is summed over */
    uint16_t inner;                 /* how many that are */
    int16_t a_zero, b_zero;
    int8_t shift;
    int32_t multiplier;
    float factor;
    mcusim_output output;
} mcusim_product;

/* y = a op b over four dimensions; a stride of 0 broadcasts. */
typedef struct {
    const int8_t *a, *b;
    int8_t *y;
    uint8_t *mask;
    uint16_t dims[4];
    uint32_t a_stride[4], b_stride[4];
    int16_t a_zero, b_zero;
    int32_t multiplier[3];          /* fixed point: of a, of b, of the sum or the product */
    int8_t shift[3];
    int8_t sign;                    /* -1: a - b */
    float a_scale, b_scale, y_scale;        /* y_scale: for a product a_scale * b_scale / y_scale */
    mcusim_output output;
} mcusim_binary;

/* y = table[x]: a function of one int8. */
typedef struct {
    const int8_t *x, *table;        /* 256 entries, from -128 up */
    int8_t *y;
    uint8_t *mask;
    const uint8_t *inside;          /* 256 bits: is the output inside the clamp */
    uint32_t count;
} mcusim_lookup;

/* y = f(x) of one element that has 16 bits, or gets them. */
typedef struct {
    const void *x;
    void *y;
    uint8_t *mask;
    const uint16_t *sigmoids;       /* of k / 24 in units of 2^-16 */
    uint32_t count;
    int32_t multiplier[2];          /* of what is not negative, and of what is */
    int8_t shift[2];
    int16_t x_zero, zero, low, high;
    uint8_t x_bytes, y_bytes, magnitude, same; /* magnitude: f(|x|); same: in one scale */
} mcusim_element;

typedef struct {
    const void *x;
    void *y;
    uint32_t count;
    float scale;
    mcusim_output output;           /* quantize: zero, low, high, rounding */
    int16_t zero;                   /* dequantize */
} mcusim_conversion;

typedef struct {
    const int8_t *x;
    int8_t *y;
    uint8_t *mask;
    mcusim_window window;           /* co is ci */
    int16_t low, high;
    uint8_t rounding, is_unsigned;
} mcusim_pool;

/* A convolution, and row by row with it the pool behind it. */
typedef struct {
    mcusim_kernel *rows, *behind;   /* of the convolution, and of the pool */
    mcusim_convolution convolution; /* y: room for as many of its rows as the pool's window is high */
    mcusim_pool pool;               /* x: the same room, but h: rows of the convolution in all */
    uint8_t bytes;                  /* of an element of either */
} mcusim_pooled;

/* The mean over the middle of [outer, reduced, inner]. */
typedef struct {
    const int8_t *x;
    int8_t *y;
    uint32_t outer, reduced, inner;
    int16_t x_zero, y_zero, low, high;
    int32_t multiplier;
    int8_t shift;
    uint8_t rounding, same;         /* same: input and output have one scale and zero point; of an extreme: least */
    float ratio;
} mcusim_mean;

/* Copy a block of four dimensions; strides in elements of bytes bytes, backwards where they are negative. */
typedef struct {
    const uint8_t *x;
    uint8_t *y;
    uint16_t dims[4];
    int32_t x_stride[4], y_stride[4];
    uint8_t bytes;
    const int8_t *table;            /* int8: 256 values to pass each through; NULL: as they are */
} mcusim_copy;

typedef struct {
    const mcusim_copy *copies;
    uint16_t count;
    uint8_t *fill;                  /* bytes that get a value first; NULL: none */
    uint32_t fill_bytes;
    uint8_t fill_value[4];          /* again and again */
} mcusim_copies;

/* Another grid: where each output row and column comes from, and how much of the lower one. The tables are
   those of the whole image, of which this may be a part; they begin at its first output. */
typedef struct {
    const void *x;
    void *y;
    uint16_t h, w, oh, ow, channels;
    uint16_t top, left;                     /* where in the whole image x begins */
    uint16_t all_rows, all_columns;         /* bilinear: outputs of the whole image */
    uint8_t bytes;
    const int16_t *rows, *columns;          /* nearest: one a place; bilinear: [2][all_*], lower then upper */
    const int32_t *down, *across;           /* bilinear: weights in 1/1024 beside them */
    int16_t low, high;
} mcusim_resize;

typedef struct {
    const void *x;
    void *y;
    uint32_t rows, columns;
    float *scratch;
    float step, y_scale;
    int16_t y_zero;
    uint8_t x_float, y_float;
    const int32_t *table;           /* fixed point: 256 exponentials, or -1 where TFLite takes 0; NULL: float32 */
} mcusim_softmax;

/* Rows of 16 bits: what lies between 513 samples of exp from -10 to 0, and of 1 / (1 + x) from 0 to 1. */
typedef struct {
    const void *x;
    void *y;
    uint32_t rows, columns;
    int32_t *scratch;               /* of a row */
    const int16_t *exponentials, *reciprocals;
    int32_t multiplier;
    int8_t shift;
} mcusim_wide_softmax;

/* Rows of LOG_SOFTMAX and L2_NORMALIZATION. */
typedef struct {
    const int8_t *x;
    int8_t *y;
    uint32_t rows, columns;
    const int32_t *table;           /* LOG_SOFTMAX in fixed point: as of mcusim_softmax, else NULL */
    int32_t multiplier, back;       /* from a difference to five integer bits, and back */
    int32_t radius;                 /* the largest difference that counts */
    float x_scale, y_scale;
    int16_t x_zero, y_zero;
    int8_t shift, back_shift;
    uint8_t fixed;
} mcusim_rows;

typedef struct {
    const void *x;
    void *y;
    uint32_t outer, reduced, inner;
    uint8_t type, bytes;            /* bytes of an output: 4 or 8 */
} mcusim_argmax;

/* Which pixels of a saved feature are kept: every rows-th row and columns-th column, or the dark squares of a
 * checkerboard; laid on the image cyclically, at another of its places in every step. */
typedef struct {
    uint16_t h, w, down;            /* down: places along the rows */
    uint8_t rows, columns, checker;
    uint32_t phases;                /* places in all */
} mcusim_pattern;

/* Copy selected channels of x: a saved feature. */
typedef struct {
    const uint8_t *x;
    uint8_t *y;
    const int16_t *channels;
    uint32_t pixels;
    uint16_t of, count;
    uint8_t bytes;
} mcusim_keeper;

/* The same of some pixels only. */
typedef struct {
    mcusim_keeper keeper;
    const mcusim_pattern *pattern;
} mcusim_pixel_keeper;

/* The loss of a step and its gradient with respect to the logits. */
typedef struct {
    const void *logits;
    const void *target;
    float *g;                       /* NULL: nobody asks for the gradient */
    uint32_t count, classes;        /* elements in all; of one pixel */
    float logits_scale;
    int32_t logits_zero;
    uint8_t logits_type, target_type;
    float target_scale;
    int32_t target_zero;
    float chain;                    /* multiplies the gradient of an int8 output */
    float smoothing;                /* part of the right class that is spread over all, of 1; 0 of other losses */
} mcusim_loss;

/* One of several. */
typedef struct {
    mcusim_kernel *run;
    mcusim_loss loss;
    float weight;
    uint8_t goal;                   /* which one: the first begins the sum */
} mcusim_weighted_loss;

/* A stored gradient: its values, and for integers the power of two that they are in units of. */
typedef struct {
    float *scale;                   /* NULL: float32 */
    float *peak;                    /* largest magnitude stored in this step */
} mcusim_error;

typedef struct {
    const void *g;
    void *gx;
    const void *weight;
    const uint8_t *mask;
    const float *factor;            /* [co] derivative of the output by its accumulator; NULL: 1 */
    float *scratch;
    mcusim_window window;
    int16_t weight_zero;
    uint8_t accumulate, weight_float;
    mcusim_error from, to;
    const int8_t *columns;          /* as in mcusim_convolution; floats where the weights are */
    const int16_t *channels;
    uint16_t count, groups;
} mcusim_grad_input;

typedef struct {
    mcusim_home home;
    mcusim_grad_input grad_input;
} mcusim_homed_grad_input;

/* gx = g * factor at another place, four dimensions of gx; a stride of 0 spreads one gradient. */
typedef struct {
    const void *g;
    void *gx;
    const uint8_t *mask;
    uint16_t dims[4];
    uint32_t stride[4];             /* in g */
    uint16_t sums[4];               /* reduced dimensions, summed in this order; 1: none */
    uint32_t sum_stride[4];
    float factor;
    uint8_t accumulate;
    const void *slope_of;           /* what a slope is looked up by, or the other factor of a product */
    const float *slope;             /* 256 slopes; NULL: (slope_of - slope_zero) * factor */
    uint32_t slope_stride[4], slope_sum_stride[4];
    int16_t slope_zero;
    uint8_t wide;                   /* what is read has 16 bits */
    mcusim_error from, to;
} mcusim_grad_plain;

enum { MCUSIM_LEAST, MCUSIM_MOST, MCUSIM_SQUARED, MCUSIM_SLOPED, MCUSIM_QUOTIENT,
       MCUSIM_SIGMOID, MCUSIM_TANGENT, MCUSIM_LEAKY, MCUSIM_MAGNITUDE };

/* gx = g * slope * ratio, the slope one of a function of two reals; slope_of is the other one. From MCUSIM_SIGMOID on
 * a function of one, own what its slope is known from. */
typedef struct {
    mcusim_grad_plain plain;
    const void *own;
    float own_scale, other_scale, ratio; /* other_scale: of MCUSIM_LEAKY the slope below zero */
    int16_t own_zero;
    uint8_t function, second;       /* second: own is b of f(a, b) */
} mcusim_grad_pair;

/* Every input sums the outputs that it was copied to, ascending: along each dimension those of input i are
 * from[first[i]] up to from[first[i + 1]]. */
typedef struct {
    const void *g;
    void *gx;
    uint16_t dims[4];
    uint32_t stride[4];             /* in g */
    const uint16_t *first[4], *from[4];
    uint8_t accumulate;
    mcusim_error from_error, to;
} mcusim_grad_moved;

/* The middle of [outer, reduced, inner]: the first extreme gets all of it. */
typedef struct {
    const void *g;
    void *gx;
    const void *x;
    uint32_t outer, reduced, inner;
    uint8_t least, accumulate, wide; /* wide: x has 16 bits */
    mcusim_error from, to;
} mcusim_grad_extreme;

typedef struct {
    const void *g;
    void *gx;
    const uint8_t *mask;
    const void *x;                  /* maximum: what the forward pass read */
    mcusim_window window;
    int16_t low, high;
    uint8_t accumulate, wide;
    mcusim_error from, to;
} mcusim_grad_pool;

/* gx = what of g met this matrix, times the other one: sums over inner, then over stacks. */
typedef struct {
    const void *g;
    void *gx;
    const uint8_t *mask;
    const void *other;
    uint16_t dims[4];               /* of gx */
    uint32_t g_stride[4], other_stride[4];
    uint32_t g_inner, other_inner;
    uint16_t inner, sums[2];        /* sums: stacks over which this matrix was broadcast; 1: none */
    int16_t other_zero;
    uint32_t g_sum[2], other_sum[2];
    float factor;
    uint8_t accumulate, wide;
    mcusim_error from, to;
} mcusim_grad_product;

/* Over rows, p what a softmax gave: p * (g - sum of g p) * factor; see the kernels for its neighbours. */
typedef struct {
    const void *g;
    void *gx;
    const uint8_t *mask;
    const void *p;
    uint32_t rows, columns;
    float p_scale, factor;
    int16_t p_zero;
    uint8_t p_type, accumulate;
    mcusim_error from, to;
} mcusim_grad_softmax;

/* Every input collects from the outputs that it went into. */
typedef struct {
    const void *g;
    void *gx;
    const uint8_t *mask;
    uint16_t h, w, oh, ow, channels;
    const int16_t *rows, *columns;  /* as in mcusim_resize */
    const float *down, *across;     /* bilinear: shares beside them; NULL: nearest */
    uint8_t accumulate;
    mcusim_error from, to;
} mcusim_grad_resize;

/* How a parameter moves. step is in units of the parameter. Rules stand in update.c; what is written of a network
 * declares those that it uses. */
struct mcusim_learner;
typedef void mcusim_rule(const struct mcusim_learner *learner, uint32_t at, float step, uint32_t word);

typedef struct mcusim_learner {
    mcusim_rule *rule;
    void *value, *extra;            /* extra: residuals or master weights */
    float *velocity;                /* NULL: no momentum */
    float *total;                   /* NULL: gradients are applied at once, else summed here */
    const float *factor;            /* quantisation-aware scaling [co]; NULL: 1 */
    float momentum;
    uint64_t seed;
    uint16_t group;                 /* of the learning rate */
    uint16_t every;                 /* steps between two updates */
} mcusim_learner;

typedef struct {
    const void *g;
    const uint8_t *mask;
    const float *factor;            /* [co]; NULL: 1 */
    uint32_t pixels;
    uint16_t outputs;
    mcusim_error from;
    const mcusim_learner *learner;
} mcusim_grad_bias;

/* Of a weight: OHWI; 1HWC, where a channel has outputs of its own; OHWI, where each input meets many outputs. */
enum { MCUSIM_PLAIN, MCUSIM_DEPTHWISE, MCUSIM_TRANSPOSED };

typedef struct {
    const void *g;
    const uint8_t *mask;
    const float *factor;
    const void *x;                  /* [pixels][saved] */
    const int16_t *channels;        /* NULL: all of them, in order */
    const mcusim_pattern *pattern;  /* of the saved pixels; NULL: all */
    mcusim_window window;           /* of a dense layer: ci inputs, co outputs, everything else 1 */
    uint16_t count, saved;          /* learning channels; channels of x */
    uint16_t kept;                  /* saved pixels */
    float share;                    /* all pixels by saved ones */
    int16_t x_zero;
    uint8_t x_type, layout, compact, whole; /* whole: x is all of an input, not what was saved of it */
    uint8_t fisher;                 /* Fisher information is observed, not the norm of a gradient */
    uint8_t groups;                 /* of channels that do not meet, as in a convolution in groups; else 1 */
    mcusim_error from;
    const mcusim_learner *learner;
} mcusim_grad_weight;

/* Apply summed gradients: count elements for a bias, or the blocks of count channels of a weight. */
typedef struct {
    const mcusim_learner *learner;
    const int16_t *channels;
    mcusim_window window;
    uint16_t count;
    uint8_t layout, compact, bias, groups;
} mcusim_update;

/* Mean squares of the gradients, one beside each parameter, and what they and new squares are multiplied by. */
typedef struct {
    float *square;                  /* NULL: no second moment */
    float decay, rest;
} mcusim_moment;

typedef struct {
    mcusim_grad_bias bias;
    mcusim_moment moment;
} mcusim_adapted_bias;

typedef struct {
    mcusim_grad_weight weight;
    mcusim_moment moment;
    float *observed;                /* norms of the learning channels' gradients, summed; NULL: nobody asks */
    float *error;                   /* norm of the error at the output, summed; NULL: nobody asks */
} mcusim_adapted_weight;

typedef struct {
    mcusim_update update;
    mcusim_moment moment;
} mcusim_adapted_update;

/* A parameter that is moved to see what that does to the loss. */
typedef struct {
    mcusim_update update;           /* which, and how it learns */
    mcusim_moment moment;
    int8_t *clean;                  /* selected weights as they are; NULL of a bias */
    const int32_t *units;           /* how far each bias is moved */
    const float *above;             /* the loss on the one side */
    uint8_t step;                   /* how far each weight is */
    int8_t times;                   /* which way from where it was, and how often; a bias from where it is */
} mcusim_perturbation;

typedef struct {
    mcusim_kernel *run;
    const void *loss;
    float *above;
} mcusim_probed_loss;

/* A float64 that is not negative: mantissa of 53 bits, or 0, times 2^e. */
typedef struct {
    uint64_t m;
    int32_t e;
} mcusim_real;

/* A layer for which channels are chosen: count of them at most. Where fewer learn, -1 follows their numbers. */
typedef struct {
    int16_t *channels;
    uint16_t count, of;
    int16_t *order;                 /* in which all take turns; NULL: they do not */
    float *latest, *sums;           /* means of the last stage that each was observed in; sums of this one; or NULL */
    float *error;                   /* norm of the error: sum of this stage, mean of the last, largest mean; or NULL */
    uint32_t cost[2];               /* what a channel takes of the limits */
    uint16_t depth;                 /* layers between this one and the output */
    uint8_t *drawn;                 /* [of] which are out of the lot already; NULL: nothing is drawn by weight */
    mcusim_real size;               /* elements that a channel takes, or another measure, by which what is observed
                                       is divided; 0: by nothing */
    uint16_t turns, most;           /* channels of a stage in which they take turns; at most of a later one */
} mcusim_chosen;

typedef struct mcusim_choice {
    void (*choose)(const struct mcusim_choice *choice, uint32_t stage);
    const mcusim_chosen *layers;
    uint16_t layers_count;
    uint32_t steps;                 /* of a stage */
    uint64_t seed;
    float *steps_seen;              /* of this stage; NULL: nothing is observed */
    uint32_t limits[2];             /* what all layers share */
    uint32_t probing;               /* stages in which channels take turns, before a criterion chooses */
    mcusim_real least, span, damping; /* of a share of channels that follows the error */
    const mcusim_network *network;  /* whose weights that learn live in flash; NULL: they lie in SRAM */
} mcusim_choice;

/* Scales of the next step from the magnitudes of this one. */
typedef struct {
    uint64_t *largest;              /* as the bits of a float64; 0: nothing seen yet */
    float *peaks, *scales;
    uint16_t count;
    int16_t top;                    /* 127 or 32767 */
} mcusim_scales;

/* Frames of a sound: what a network takes of them. Tables are those of mcusim/kernels/reference/front_end.py. */
typedef struct {
    const int16_t *samples;
    void *y;
    float *scratch;                 /* points + 2, and one a band */
    const float *window, *waves, *weights;
    const float *cosines;           /* [bands][columns]; NULL: the bands as they are */
    const uint16_t *bins;           /* the first of each band, and how many each has */
    mcusim_real scale;              /* 2^16 by the input's scale */
    uint32_t count;                 /* samples */
    uint16_t frame, hop, points, frames, bands, columns;
    int16_t zero, low, high;
    uint8_t bytes;                  /* of an element of y: 4 is float32 */
    uint8_t peak;                   /* scale by the largest sample */
} mcusim_front_end;

/* Bytes that are gathered into whole units before they are programmed. MCUSIM_BLOCK: the largest unit that there may
 * be. */
enum { MCUSIM_BLOCK = 256 };

typedef struct {
    const mcusim_flash *flash;
    uint32_t at, used, unit;
    int failed;
    uint8_t block[MCUSIM_BLOCK];
} mcusim_gathered;

enum { MCUSIM_RESERVOIR, MCUSIM_BALANCED, MCUSIM_FIFO };

/* Examples that are kept to be learned again: in SRAM one record after the other, an example and then its class, or in
 * flash, in a ring of blocks. */
typedef struct {
    const mcusim_part *parts;       /* of an example */
    uint16_t parts_count;
    uint8_t policy, label_bytes;
    uint32_t capacity;
    uint32_t record_bytes;          /* with the class, and what a unit of programming leaves empty */
    uint64_t seed;
    uint32_t *counters;             /* examples offered, draws since; blocks begun, records in the newest */
    uint32_t *classes;              /* how many are kept of each; NULL: the policy does not ask */
    uint32_t classes_count;
    uint8_t *records;               /* NULL: they are in flash */
    int16_t *places;                /* where there */
    const mcusim_flash **flash;     /* NULL until there is one */
    uint32_t block_bytes, erase_bytes, program_bytes;
    uint16_t blocks, per_block;
} mcusim_replay;

mcusim_kernel mcusim_nothing;
mcusim_kernel mcusim_pooled_rows, mcusim_conv, mcusim_pointwise, mcusim_depthwise, mcusim_depthwise_plane;
mcusim_kernel mcusim_dense_int8, mcusim_dense_once, mcusim_dense_int32, mcusim_dense_float;
mcusim_kernel mcusim_convolution_in_flash, mcusim_dense_in_flash, mcusim_grad_input_in_flash;
mcusim_kernel mcusim_overlaid_int8, mcusim_overlaid_once, mcusim_overlaid_int32, mcusim_overlaid_float;
mcusim_kernel mcusim_minimum, mcusim_maximum, mcusim_squared_difference, mcusim_prelu, mcusim_div;
mcusim_kernel mcusim_add, mcusim_mul, mcusim_look_up, mcusim_quantize, mcusim_dequantize;
mcusim_kernel mcusim_average_pool, mcusim_max_pool, mcusim_average, mcusim_total, mcusim_extreme;
mcusim_kernel mcusim_move, mcusim_keep_state, mcusim_resize_nearest, mcusim_resize_bilinear, mcusim_keep, mcusim_keep_pixels, mcusim_arg_max;
mcusim_kernel mcusim_softmax_rows, mcusim_log_softmax, mcusim_l2;
mcusim_kernel mcusim_grouped, mcusim_transposed, mcusim_matrices;
mcusim_kernel mcusim_conv_int16, mcusim_pointwise_int16, mcusim_dense_once_int16, mcusim_dense_to_int16;
mcusim_kernel mcusim_depthwise_int16, mcusim_depthwise_plane_int16, mcusim_transposed_int16;
mcusim_kernel mcusim_add_int16, mcusim_mul_int16, mcusim_mul_to_int8, mcusim_squared_difference_int16;
mcusim_kernel mcusim_minimum_int16, mcusim_maximum_int16, mcusim_rescale_int16, mcusim_quantize_int16;
mcusim_kernel mcusim_dequantize_int16, mcusim_logistic_int16, mcusim_tanh_int16, mcusim_softmax_int16;
mcusim_kernel mcusim_average_pool_int16, mcusim_max_pool_int16, mcusim_total_int16, mcusim_extreme_int16;
mcusim_kernel mcusim_matrices_int16;
mcusim_kernel mcusim_cross_entropy, mcusim_pixel_cross_entropy, mcusim_sigmoid_cross_entropy,
    mcusim_squared_error, mcusim_one_of_losses;
mcusim_kernel mcusim_grad_bias_f32, mcusim_grad_bias_i16, mcusim_grad_bias_i8;
mcusim_kernel mcusim_grad_weight_f32, mcusim_grad_weight_i16, mcusim_grad_weight_i8;
mcusim_kernel mcusim_adapted_bias_f32, mcusim_adapted_bias_i16, mcusim_adapted_bias_i8;
mcusim_kernel mcusim_adapted_weight_f32, mcusim_adapted_weight_i16, mcusim_adapted_weight_i8;
mcusim_kernel mcusim_replay_example, mcusim_hear;
mcusim_kernel mcusim_perturb, mcusim_probe, mcusim_estimate;
mcusim_kernel mcusim_apply, mcusim_adapted_apply, mcusim_advance, mcusim_choose, mcusim_observe;
void mcusim_in_turn(const mcusim_choice *choice, uint32_t stage);
void mcusim_in_one_stream(const mcusim_choice *choice, uint32_t stage);
void mcusim_by_norm(const mcusim_choice *choice, uint32_t stage);
void mcusim_by_error(const mcusim_choice *choice, uint32_t stage);
void mcusim_within_limits(const mcusim_choice *choice, uint32_t stage);
void mcusim_by_fisher(const mcusim_choice *choice, uint32_t stage);
void mcusim_by_chance(const mcusim_choice *choice, uint32_t stage);
void mcusim_by_importance(const mcusim_choice *choice, uint32_t stage);
void mcusim_by_importance_within_limits(const mcusim_choice *choice, uint32_t stage);

/* Gradients of inputs, from errors of one type to errors of the same or another. */
#define MCUSIM_GRADIENTS(suffix)                                                                     \
    mcusim_kernel mcusim_grad_input_conv_##suffix, mcusim_grad_input_pointwise_##suffix,             \
        mcusim_grad_input_depthwise_##suffix, mcusim_grad_input_dense_##suffix,                      \
        mcusim_grad_plain_##suffix, mcusim_grad_average_pool_##suffix,                               \
        mcusim_grad_max_pool_##suffix, mcusim_grad_softmax_##suffix, mcusim_grad_resize_##suffix,    \
        mcusim_grad_pair_##suffix, mcusim_grad_moved_##suffix, mcusim_grad_extreme_##suffix,         \
        mcusim_grad_grouped_##suffix, mcusim_grad_transposed_##suffix, mcusim_grad_product_##suffix, \
        mcusim_grad_log_softmax_##suffix, mcusim_grad_l2_##suffix
MCUSIM_GRADIENTS(f32_f32);
MCUSIM_GRADIENTS(f32_i16);
MCUSIM_GRADIENTS(f32_i8);
MCUSIM_GRADIENTS(i16_i16);
MCUSIM_GRADIENTS(i8_i8);

uint32_t mcusim_outputs(const mcusim_output *out, const int32_t *acc, int count, int o, int each_o, int8_t *y,
                        int each_y);
int32_t mcusim_doubled(int32_t x, int bits);
int32_t mcusim_inverse(int32_t x);
int32_t mcusim_reciprocal(uint32_t total, int integer_bits, int *bits);
float mcusim_length(const int8_t *x, uint32_t count, int32_t zero);
float mcusim_exponential(float x);
float mcusim_logarithm(float x);
float mcusim_rate(const mcusim_learner *learner, const mcusim_state *state);
void mcusim_learn(const mcusim_learner *learner, const mcusim_state *state, uint64_t key, uint32_t at,
                  uint32_t element, uint32_t output, uint32_t summed, float gradient);
void mcusim_adapt(const mcusim_learner *learner, const mcusim_moment *moment, const mcusim_state *state, uint64_t key,
                  uint32_t at, uint32_t element, uint32_t output, uint32_t summed, float gradient);
uint64_t mcusim_key(uint64_t seed, uint64_t counter);
void mcusim_gather(mcusim_gathered *gathered, const void *data, uint32_t bytes);
void mcusim_flush(mcusim_gathered *gathered);
float mcusim_learn_from(const mcusim_network *network, uint32_t op);
void mcusim_begin_stage(const mcusim_network *network, uint32_t stage);
int mcusim_write_back(const mcusim_network *network);
void mcusim_read_columns(const mcusim_network *network);
void mcusim_give_columns(const mcusim_network *network, uint32_t number, mcusim_taker *take, void *to);

float mcusim_root(float value);
mcusim_real mcusim_real_of(float x);
mcusim_real mcusim_real_scaled(uint64_t m, int32_t e);
int mcusim_real_less(mcusim_real a, mcusim_real b);
mcusim_real mcusim_real_sum(mcusim_real a, mcusim_real b);
mcusim_real mcusim_real_product(mcusim_real a, mcusim_real b);
mcusim_real mcusim_real_quotient(mcusim_real a, mcusim_real b);
uint32_t mcusim_real_floor(mcusim_real value);
float mcusim_real_float(mcusim_real value);
void mcusim_add_square(mcusim_real *total, float x, float factor);
void mcusim_add_product(mcusim_real *total, int *negative, float x, int32_t factor);
float mcusim_root_of(const mcusim_real *total);
int64_t mcusim_once(int64_t acc, uint64_t factor);

#ifdef __cplusplus
}
#endif
#endif

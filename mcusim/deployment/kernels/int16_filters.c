/* Layers with 8-bit weights and 16-bit activations: sums have 64 bits, biases too. Zero points are 0.
 *
 * x, y and bias of the records are int16, int16 and int64; of MCUSIM_FIXED outputs the bias is int32. */
#include "simd.h"

#define HELD 8    /* elements of a pixel, as planning knows them */
#define BLOCK 508 /* products of int16 and int8 that 32 bits can sum */

static int64_t wide_dot(const int16_t *x, const int8_t *q, int length) {
    int64_t acc = 0;
    for (int first = 0; first < length; first += BLOCK) {
        int some = length - first < BLOCK ? length - first : BLOCK, k = 0;
        int32_t part = 0;
#if MCUSIM_SIMD
        for (; k + 4 <= some; k += 4) {
            uint32_t low = mcusim_four(x + k), high = mcusim_four(x + k + 2), w = mcusim_four(q + k);
            int16x2_t even = (int16x2_t)((low & 0xffffu) | high << 16);
            int16x2_t odd = (int16x2_t)(low >> 16 | (high & 0xffff0000u));
            part = __smlad(mcusim_odd(w), odd, __smlad(mcusim_even(w), even, part));
        }
#endif
        for (; k < some; k++) part += x[k] * q[k];
        acc += part, x += some, q += some;
    }
    return acc;
}

/* By the upper 16 bits of the multiplier. A product wraps, as registers do. */
static int64_t wide_upper(const mcusim_output *out, int64_t acc, int o) {
    return mcusim_multiply_wide(acc, out->multiplier[o], out->shift[o]);
}

static int64_t wide_rescaled(const mcusim_output *out, int64_t acc, int o) {
    if (out->rounding == MCUSIM_FIXED)
        return mcusim_multiply((int32_t)(uint32_t)(uint64_t)acc, out->multiplier[o], out->shift[o]);
    return wide_upper(out, acc, o);
}

static int64_t wide_once(const mcusim_output *out, int64_t acc, int o) {
    return mcusim_once(acc, ((const uint64_t *)(const void *)out->factor)[o]);
}

typedef int64_t rescaling(const mcusim_output *out, int64_t acc, int o);

static inline int64_t wide_start(const mcusim_convolution *r, int o) {
    const void *bias = r->bias;
    if (!bias) return 0;
    return r->output.rounding == MCUSIM_FIXED ? ((const int32_t *)bias)[o] : ((const int64_t *)bias)[o];
}

/* Clamp, write, and note whether it was inside. */
static inline int16_t *wide_written(const mcusim_output *out, int64_t v, int16_t *y, mcusim_writer *bits) {
    int64_t kept = v < out->low ? out->low : v;
    kept = kept > out->high ? out->high : kept;
    *y = (int16_t)kept;
    mcusim_bit(bits, (uint32_t)(kept == v));
    return y + 1;
}

/* What the learning channels in SRAM add to the sum of output o over the weights of its group in flash: column holds
 * what the output meets of the group, tap by tap. */
static int64_t wide_overlay(const mcusim_convolution *r, const int16_t *column, int o) {
    int depth = r->window.ci / r->groups, each = r->window.co / r->groups, taps = r->window.kh * r->window.kw;
    int count = (int)mcusim_learning(r->channels, r->count);
    int64_t acc = 0;
    for (int s = 0; s < count; s++) {
        int channel = r->channels[s] % depth;
        if (r->channels[s] / depth != o / each) continue;
        for (int t = 0; t < taps; t++) {
            int32_t there = r->weight[(o * taps + t) * depth + channel];
            acc += column[t * depth + channel] * (r->columns[(s * taps + t) * each + o % each] - there);
        }
    }
    return acc;
}

/* The outputs of one group of one pixel. */
MCUSIM_INLINE int16_t *wide_group(const mcusim_convolution *r, const int16_t *column, int length, int in, int group,
                                int16_t *y, mcusim_writer *bits, rescaling *rescale) {
    int each = r->window.co / r->groups;
    for (int o = group * each; o < (group + 1) * each; o++) {
        int64_t acc = wide_start(r, o);
        if (in) acc += wide_dot(column, r->weight + o * length, length);
        if (in && r->columns) acc += wide_overlay(r, column, o);
        y = wide_written(&r->output, rescale(&r->output, acc, o), y, bits);
    }
    return y;
}

/* k x k, in groups or not: what one group of one output meets as a column in scratch. */
void mcusim_conv_int16(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    const int16_t *image = (const int16_t *)(const void *)r->x;
    mcusim_writer bits = {r->mask, 0, 0};
    int16_t *y = (int16_t *)(void *)r->y, *column = (int16_t *)r->scratch;
    int depth = m->ci / r->groups, length = m->kh * m->kw * depth;
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++)
            for (int g = 0; g < r->groups; g++) {
                int16_t *to = column;
                for (int u = 0; u < m->kh; u++)
                    for (int v = 0; v < m->kw; v++) {
                        int row = i * m->sh + u * m->dh - m->top, col = j * m->sw + v * m->dw - m->left;
                        int in = row >= 0 && row < m->h && col >= 0 && col < m->w;
                        const int16_t *x = image + (in ? (row * m->w + col) * m->ci + g * depth : 0);
                        for (int k = 0; k < depth; k++) *to++ = (int16_t)(in ? x[k] : 0);
                    }
                y = wide_group(r, column, length, 1, g, y, &bits, wide_rescaled);
            }
    mcusim_bits_end(&bits);
}

/* 1 x 1, in groups or not, and fully connected layers. A small pixel is held apart, as mcusim_pointwise holds it. */
MCUSIM_INLINE void wide_pixels(const mcusim_convolution *r, rescaling *rescale) {
    const mcusim_window *m = &r->window;
    const int16_t *image = (const int16_t *)(const void *)r->x;
    mcusim_writer bits = {r->mask, 0, 0};
    int16_t *y = (int16_t *)(void *)r->y, held[HELD];
    int depth = m->ci / r->groups;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++) {
            int row = i * m->sh - m->top, col = j * m->sw - m->left;
            int in = row >= 0 && row < m->h && col >= 0 && col < m->w;
            const int16_t *x = image + (in ? (row * m->w + col) * m->ci : 0);
            if (m->ci <= HELD) {
                for (int k = 0; k < m->ci; k++) held[k] = x[k];
                x = held;
            }
            for (int g = 0; g < r->groups; g++)
                y = wide_group(r, x + g * depth, depth, in, g, y, &bits, rescale);
        }
    mcusim_bits_end(&bits);
}

void mcusim_pointwise_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_pixels((const mcusim_convolution *)record, wide_rescaled);
}

void mcusim_dense_once_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_pixels((const mcusim_convolution *)record, wide_once);
}

/* 16-bit outputs of 8-bit inputs, as the gates of a recurrent layer have them: sums of 32 bits. */
void mcusim_dense_to_int16(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const int8_t *x = r->x;
    int inputs = r->window.ci, outputs = r->window.co, count = (int)mcusim_learning(r->channels, r->count);
    int16_t *y = (int16_t *)(void *)r->y;
    mcusim_writer bits = {r->mask, 0, 0};
    (void)state;
    for (int row = 0; row < r->window.ow; row++, x += inputs)
        for (int o = 0; o < outputs; o++) {
            const int8_t *q = r->weight + o * inputs;
            int32_t acc = r->bias ? r->bias[o] : 0;
            for (int k = 0; k < inputs; k++) acc += (x[k] - r->x_zero) * q[k];
            for (int s = 0; s < count; s++) {
                int k = r->channels[s];
                acc += (x[k] - r->x_zero) * (r->columns[s * outputs + o] - q[k]);
            }
            y = wide_written(&r->output, mcusim_multiply(acc, r->output.multiplier[o], r->output.shift[o]), y, &bits);
        }
    mcusim_bits_end(&bits);
}

/* The weights of the output channels that input channel c has, tap by tap. */
typedef struct {
    const int8_t *q;
    int stride;
} weights_of;

static weights_of wide_depthwise_weights(const mcusim_convolution *r, int c, int each) {
    weights_of w = {r->weight + c * each, r->window.co};
    for (int s = 0; s < r->count; s++)
        if (r->channels[s] == c) {
            w.q = r->columns + s * r->window.kh * r->window.kw * each;
            w.stride = each;
        }
    return w;
}

void mcusim_depthwise_int16(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    const int16_t *x = (const int16_t *)(const void *)r->x;
    mcusim_writer bits = {r->mask, 0, 0};
    int16_t *y = (int16_t *)(void *)r->y;
    int each = m->co / m->ci;
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++)
            for (int c = 0; c < m->ci; c++) {
                weights_of w = wide_depthwise_weights(r, c, each);
                for (int n = 0; n < each; n++) {
                    int64_t acc = wide_start(r, c * each + n);
                    const int8_t *q = w.q + n;
                    for (int u = 0; u < m->kh; u++)
                        for (int v = 0; v < m->kw; v++, q += w.stride) {
                            int row = i * m->sh + u * m->dh - m->top, col = j * m->sw + v * m->dw - m->left;
                            if (row < 0 || row >= m->h || col < 0 || col >= m->w) continue;
                            acc += x[(row * m->w + col) * m->ci + c] * *q;
                        }
                    y = wide_written(&r->output, wide_rescaled(&r->output, acc, c * each + n), y, &bits);
                }
            }
    mcusim_bits_end(&bits);
}

/* One channel plane at a time through a padded copy of it, as mcusim_depthwise_plane: y may begin where x does. */
void mcusim_depthwise_plane_int16(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    const int16_t *x = (const int16_t *)(const void *)r->x;
    int16_t *y = (int16_t *)(void *)r->y, *plane = (int16_t *)r->scratch;
    int channels = m->ci, width = m->w + m->left + r->right, height = m->h + m->top + r->bottom;
    (void)state;
    if (r->mask)
        for (int i = 0; i < (m->oh * m->ow * channels + 7) >> 3; i++) r->mask[i] = 0;
    for (int i = 0; i < width * height; i++) plane[i] = 0;
    for (int c = 0; c < channels; c++) {
        weights_of w = wide_depthwise_weights(r, c, 1);
        for (int i = 0; i < m->h; i++)
            for (int j = 0; j < m->w; j++)
                plane[(i + m->top) * width + j + m->left] = x[(i * m->w + j) * channels + c];
        for (int i = 0; i < m->oh; i++)
            for (int j = 0; j < m->ow; j++) {
                int64_t acc = wide_start(r, c);
                const int8_t *q = w.q;
                int at = (i * m->ow + j) * channels + c;
                for (int u = 0; u < m->kh; u++)
                    for (int v = 0; v < m->kw; v++, q += w.stride)
                        acc += plane[(i * m->sh + u * m->dh) * width + j * m->sw + v * m->dw] * *q;
                mcusim_writer one = {NULL, 0, 0};
                wide_written(&r->output, wide_rescaled(&r->output, acc, c), y + at, &one);
                if (r->mask) r->mask[at >> 3] = (uint8_t)(r->mask[at >> 3] | one.bits << (at & 7));
            }
    }
}

/* Every output gathers the inputs whose windows meet it: their sums, of 64 bits, are never in memory. */
void mcusim_transposed_int16(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    const int16_t *image = (const int16_t *)(const void *)r->x;
    mcusim_writer bits = {r->mask, 0, 0};
    int16_t *y = (int16_t *)(void *)r->y;
    int ci = m->ci, co = m->co, taps = m->kh * m->kw, count = (int)mcusim_learning(r->channels, r->count);
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++)
            for (int o = 0; o < co; o++) {
                int64_t acc = wide_start(r, o);
                int tap = 0;
                for (int u = 0; u < m->kh; u++)
                    for (int v = 0; v < m->kw; v++, tap++) {
                        int row = i + m->top - u * m->dh, col = j + m->left - v * m->dw;
                        if (row < 0 || col < 0 || row % m->sh || col % m->sw) continue;
                        if (row / m->sh >= m->h || col / m->sw >= m->w) continue;
                        const int16_t *x = image + (row / m->sh * m->w + col / m->sw) * ci;
                        const int8_t *q = r->weight + (o * taps + tap) * ci;
                        acc += wide_dot(x, q, ci);
                        for (int s = 0; s < count; s++) {
                            int k = r->channels[s];
                            acc += x[k] * (r->columns[(s * taps + tap) * co + o] - q[k]);
                        }
                    }
                y = wide_written(&r->output, wide_rescaled(&r->output, acc, o), y, &bits);
            }
    mcusim_bits_end(&bits);
}

/* Gradients of biases and weights: sums over output pixels ascending, each applied or added as it is there. */
#include "arithmetic.h"

typedef float gradient_at(const void *g, const float *scale, uint32_t i);

static inline float f32(const void *g, const float *scale, uint32_t i) {
    (void)scale;
    return ((const float *)g)[i];
}

static inline float i16(const void *g, const float *scale, uint32_t i) {
    return (float)((const int16_t *)g)[i] * *scale;
}

static inline float i8(const void *g, const float *scale, uint32_t i) {
    return (float)((const int8_t *)g)[i] * *scale;
}

static inline float masked(float g, const uint8_t *mask, uint32_t i) {
    return mcusim_float(mcusim_word(g) & mcusim_passes(mask, i));
}

static inline float passed(float g, uint32_t inside, int e) {
    return mcusim_float(mcusim_word(g) & (0u - (inside >> e & 1u)));
}

static inline void bias(const mcusim_grad_bias *r, mcusim_state *state, gradient_at *at) {
    uint64_t key = mcusim_key(r->learner->seed, state->iteration);
    if (!state->updating) return;
    for (uint32_t o = 0; o < r->outputs; o++) {
        float s = 0.0f, factor = r->factor ? r->factor[o] : 1.0f;
        uint32_t i = o;
        for (uint32_t p = 0; p < r->pixels; p++, i += r->outputs)
            s += masked(at(r->g, r->from.scale, i), r->mask, i) * factor;
        mcusim_learn(r->learner, state, key, o, o, o, o, s);
    }
}

void mcusim_grad_bias_f32(const void *record, mcusim_state *state) {
    bias((const mcusim_grad_bias *)record, state, f32);
}

void mcusim_grad_bias_i16(const void *record, mcusim_state *state) {
    bias((const mcusim_grad_bias *)record, state, i16);
}

void mcusim_grad_bias_i8(const void *record, mcusim_state *state) {
    bias((const mcusim_grad_bias *)record, state, i8);
}

/* x - z of one saved pixel. */
static inline float feature(const mcusim_grad_weight *r, uint32_t pixel, uint32_t s) {
    uint32_t at = pixel * r->saved + s;
    if (r->x_float) return ((const float *)r->x)[at];
    return (float)(((const int8_t *)r->x)[at] - r->x_zero);
}

/* The sum of one tap of one channel and output over all pixels that meet. */
static inline float summed(const mcusim_grad_weight *r, gradient_at *at, uint32_t s, int u, int v, uint32_t o,
                           uint32_t phase) {
    const mcusim_window *m = &r->window;
    float sum = 0.0f, factor = r->factor ? r->factor[o] : 1.0f;
    uint32_t pixel = 0, saved = 0; /* how many pixels before this one are saved */
    for (int a = 0; a < m->oh; a++) {
        int row = a * m->sh + u * m->dh - m->top;
        if (row < 0 || row >= m->h) continue;
        for (int b = 0; b < m->ow; b++) {
            int col = b * m->sw + v * m->dw - m->left;
            if (col < 0 || col >= m->w) continue;
            uint32_t from = (uint32_t)(row * m->w + col), i = (uint32_t)(a * m->ow + b) * m->co + o;
            if (r->pattern) { /* ascending in both: the next saved pixel is never behind */
                for (; pixel < from && saved < r->kept; pixel++) saved += mcusim_kept(r->pattern, phase, pixel);
                if (saved == r->kept || !mcusim_kept(r->pattern, phase, from)) continue;
                from = saved;
            }
            sum += feature(r, from, s) * (masked(at(r->g, r->from.scale, i), r->mask, i) * factor);
        }
    }
    return sum;
}

/* 1 x 1 over every pixel: what four outputs at a time get from one input channel. */
MCUSIM_INLINE void four_summed(const mcusim_grad_weight *r, gradient_at *at, uint32_t s, uint32_t o, float *sum) {
    uint32_t pixels = (uint32_t)r->window.oh * r->window.ow, co = r->window.co, i = o;
    float f0 = r->factor[o], f1 = r->factor[o + 1], f2 = r->factor[o + 2], f3 = r->factor[o + 3];
    float s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
    for (uint32_t p = 0; p < pixels; p++, i += co) {
        uint32_t inside = mcusim_four_pass(r->mask, i);
        float x = feature(r, p, s);
        s0 += x * (passed(at(r->g, r->from.scale, i), inside, 0) * f0);
        s1 += x * (passed(at(r->g, r->from.scale, i + 1), inside, 1) * f1);
        s2 += x * (passed(at(r->g, r->from.scale, i + 2), inside, 2) * f2);
        s3 += x * (passed(at(r->g, r->from.scale, i + 3), inside, 3) * f3);
    }
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
}

static int pointwise(const mcusim_grad_weight *r) {
    const mcusim_window *m = &r->window;
    int whole = m->kh * m->kw * m->sh * m->sw == 1 && m->h == m->oh && m->w == m->ow && !m->top && !m->left;
    return whole && r->factor && !r->pattern && !r->depthwise;
}

static inline void weight(const mcusim_grad_weight *r, mcusim_state *state, gradient_at *at) {
    const mcusim_window *m = &r->window;
    uint64_t key = mcusim_key(r->learner->seed, state->iteration);
    uint32_t taps = (uint32_t)m->kh * m->kw, co = m->co, ci = m->ci, multiplier = r->depthwise ? co / ci : co;
    uint32_t phase = r->pattern ? mcusim_phase(r->pattern, state->iteration) : 0;
    int together = co % 4 == 0 && pointwise(r);
    float four[4];
    if (!state->updating) return;
    for (uint32_t s = 0; s < r->count; s++) {
        uint32_t channel = r->channels ? (uint32_t)r->channels[s] : s, tap = 0;
        for (int u = 0; u < m->kh; u++)
            for (int v = 0; v < m->kw; v++, tap++)
                for (uint32_t n = 0; n < multiplier; n++) {
                    uint32_t o = r->depthwise ? channel * multiplier + n : n;
                    uint32_t element = r->depthwise ? tap * co + o : (o * taps + tap) * ci + channel;
                    uint32_t block = (s * taps + tap) * multiplier + n;
                    if (together && n % 4 == 0) four_summed(r, at, s, n, four);
                    float g = together ? four[n % 4] : summed(r, at, s, u, v, o, phase);
                    if (r->pattern) g *= r->share;
                    mcusim_learn(r->learner, state, key, r->compact ? block : element, element, o, block, g);
                }
    }
}

void mcusim_grad_weight_f32(const void *record, mcusim_state *state) {
    weight((const mcusim_grad_weight *)record, state, f32);
}

void mcusim_grad_weight_i16(const void *record, mcusim_state *state) {
    weight((const mcusim_grad_weight *)record, state, i16);
}

void mcusim_grad_weight_i8(const void *record, mcusim_state *state) {
    weight((const mcusim_grad_weight *)record, state, i8);
}

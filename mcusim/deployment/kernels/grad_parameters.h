/* Gradients of biases and weights: sums over output pixels ascending, each applied or added as it is there.
 *
 * Included twice: with ADAPTED, there is a second moment, or the norms of gradients are observed, or both. */
#include "arithmetic.h"

/* Linkers keep and leave out functions by name: those of either kind have names of their own. */
#if ADAPTED
#define NAME(name) adapted_##name
#else
#define NAME(name) name
#endif

typedef float gradient_at(const void *g, const float *scale, uint32_t i);

static inline float NAME(f32)(const void *g, const float *scale, uint32_t i) {
    (void)scale;
    return ((const float *)g)[i];
}

static inline float NAME(i16)(const void *g, const float *scale, uint32_t i) {
    return (float)((const int16_t *)g)[i] * *scale;
}

static inline float NAME(i8)(const void *g, const float *scale, uint32_t i) {
    return (float)((const int8_t *)g)[i] * *scale;
}

static inline float NAME(masked)(float g, const uint8_t *mask, uint32_t i) {
    return mcusim_float(mcusim_word(g) & mcusim_passes(mask, i));
}

static inline float NAME(passed)(float g, uint32_t inside, int e) {
    return mcusim_float(mcusim_word(g) & (0u - (inside >> e & 1u)));
}

/* What a gradient does: it moves the parameter, or is added to a sum. */
#if ADAPTED
#define LEARN(learner, ...) mcusim_adapt(learner, moment, state, key, __VA_ARGS__)
#define MOMENT const mcusim_moment *moment,
#else
#define LEARN(learner, ...) mcusim_learn(learner, state, key, __VA_ARGS__)
#define MOMENT
#endif

static inline void NAME(bias)(const mcusim_grad_bias *r, MOMENT mcusim_state *state, gradient_at *at) {
    uint64_t key = mcusim_key(r->learner->seed, state->iteration);
    if (!state->updating) return;
    for (uint32_t o = 0; o < r->outputs; o++) {
        float s = 0.0f, factor = r->factor ? r->factor[o] : 1.0f;
        uint32_t i = o;
        for (uint32_t p = 0; p < r->pixels; p++, i += r->outputs)
            s += NAME(masked)(at(r->g, r->from.scale, i), r->mask, i) * factor;
        LEARN(r->learner, o, o, o, o, s);
    }
}

/* x - z of one saved pixel. */
static inline float NAME(feature)(const mcusim_grad_weight *r, uint32_t pixel, uint32_t s) {
    uint32_t at = pixel * r->saved + s;
    if (r->x_type == MCUSIM_FLOAT32) return ((const float *)r->x)[at];
    return (float)(mcusim_read(r->x, r->x_type == MCUSIM_INT16, at) - r->x_zero);
}

/* The sum of one tap of one channel and output over all pixels that meet. */
static inline float NAME(summed)(const mcusim_grad_weight *r, gradient_at *at, uint32_t s, int u, int v, uint32_t o,
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
            sum += NAME(feature)(r, from, s) * (NAME(masked)(at(r->g, r->from.scale, i), r->mask, i) * factor);
        }
    }
    return sum;
}

/* The same of a transposed convolution, whose inputs meet many outputs each. */
static float NAME(spread)(const mcusim_grad_weight *r, gradient_at *at, uint32_t s, int u, int v, uint32_t o) {
    const mcusim_window *m = &r->window;
    float sum = 0.0f, factor = r->factor ? r->factor[o] : 1.0f;
    for (int a = 0; a < m->h; a++) {
        int row = a * m->sh + u * m->dh - m->top;
        if (row < 0 || row >= m->oh) continue;
        for (int b = 0; b < m->w; b++) {
            int col = b * m->sw + v * m->dw - m->left;
            if (col < 0 || col >= m->ow) continue;
            uint32_t from = (uint32_t)(a * m->w + b), i = (uint32_t)(row * m->ow + col) * m->co + o;
            sum += NAME(feature)(r, from, s) * (NAME(masked)(at(r->g, r->from.scale, i), r->mask, i) * factor);
        }
    }
    return sum;
}

/* 1 x 1 over every pixel: what four outputs at a time get from one input channel. */
MCUSIM_INLINE void NAME(four_summed)(const mcusim_grad_weight *r, gradient_at *at, uint32_t s, uint32_t o, float *sum) {
    uint32_t pixels = (uint32_t)r->window.oh * r->window.ow, co = r->window.co, i = o;
    float f0 = r->factor[o], f1 = r->factor[o + 1], f2 = r->factor[o + 2], f3 = r->factor[o + 3];
    float s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
    for (uint32_t p = 0; p < pixels; p++, i += co) {
        uint32_t inside = mcusim_four_pass(r->mask, i);
        float x = (float)(((const int8_t *)r->x)[p * r->saved + s] - r->x_zero);
        s0 += x * (NAME(passed)(at(r->g, r->from.scale, i), inside, 0) * f0);
        s1 += x * (NAME(passed)(at(r->g, r->from.scale, i + 1), inside, 1) * f1);
        s2 += x * (NAME(passed)(at(r->g, r->from.scale, i + 2), inside, 2) * f2);
        s3 += x * (NAME(passed)(at(r->g, r->from.scale, i + 3), inside, 3) * f3);
    }
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
}

static int NAME(pointwise)(const mcusim_grad_weight *r) {
    const mcusim_window *m = &r->window;
    int whole = m->kh * m->kw * m->sh * m->sw == 1 && m->h == m->oh && m->w == m->ow && !m->top && !m->left;
    return whole && r->factor && !r->pattern && r->layout == MCUSIM_PLAIN && r->groups == 1 && r->x_type == MCUSIM_INT8;
}

#if ADAPTED
/* The sum of the magnitudes of what is stored, one after the other, then times its scale. */
static float NAME(error_norm)(const mcusim_grad_weight *r, gradient_at *at) {
    const float one = 1.0f;
    uint32_t elements = (uint32_t)r->window.oh * r->window.ow * r->window.co;
    mcusim_real total = {0, 0};
    for (uint32_t i = 0; i < elements; i++)
        total = mcusim_real_sum(total, mcusim_real_of(at(r->g, &one, i)));
    if (r->from.scale) total = mcusim_real_product(total, mcusim_real_of(*r->from.scale));
    return mcusim_real_float(total);
}

#define OBSERVED float *observed, float *error,
#else
#define OBSERVED
#endif

static inline void NAME(weight)(const mcusim_grad_weight *r, MOMENT OBSERVED mcusim_state *state, gradient_at *at) {
    const mcusim_window *m = &r->window;
    uint64_t key = mcusim_key(r->learner->seed, state->iteration);
    int depthwise = r->layout == MCUSIM_DEPTHWISE;
    uint32_t taps = (uint32_t)m->kh * m->kw, co = m->co, depth = m->ci / (uint32_t)r->groups;
    uint32_t each = depthwise ? co / m->ci : co / r->groups;
    uint32_t phase = r->pattern ? mcusim_phase(r->pattern, state->iteration) : 0;
    int together = co % 4 == 0 && NAME(pointwise)(r);
    uint32_t count = r->channels ? mcusim_learning(r->channels, r->count) : r->count;
    float four[4];
    if (!state->updating) return;
    for (uint32_t s = 0; s < count; s++) {
        uint32_t channel = r->channels ? (uint32_t)r->channels[s] : s, x = r->whole ? channel : s, tap = 0;
        uint32_t first = (depthwise ? channel : channel / depth) * each;
#if ADAPTED
        mcusim_real sum = {0, 0};
        int negative = 0;
#endif
        for (int u = 0; u < m->kh; u++)
            for (int v = 0; v < m->kw; v++, tap++)
                for (uint32_t n = 0; n < each; n++) {
                    uint32_t o = first + n;
                    uint32_t element = depthwise ? tap * co + o : (o * taps + tap) * depth + channel % depth;
                    uint32_t block = (s * taps + tap) * each + n, at_weight = r->compact ? block : element;
                    if (together && n % 4 == 0) NAME(four_summed)(r, at, x, n, four);
                    float g = together                         ? four[n % 4]
                              : r->layout == MCUSIM_TRANSPOSED ? NAME(spread)(r, at, x, u, v, o)
                                                               : NAME(summed)(r, at, x, u, v, o, phase);
                    if (r->pattern) g *= r->share;
#if ADAPTED
                    if (observed && r->fisher)
                        mcusim_add_product(&sum, &negative, g, ((const int8_t *)r->learner->value)[at_weight]);
                    else if (observed)
                        mcusim_add_square(&sum, g, r->learner->factor ? r->learner->factor[o] : 1.0f);
#endif
                    LEARN(r->learner, at_weight, element, o, block, g);
                }
#if ADAPTED
        if (observed)
            observed[s] += r->fisher ? mcusim_real_float(mcusim_real_product(sum, sum)) : mcusim_root_of(&sum);
#endif
    }
#if ADAPTED
    if (error) *error += NAME(error_norm)(r, at);
#endif
}

/* Apply the sums, every so many steps, and start over. */
static inline void NAME(apply)(const mcusim_update *r, MOMENT const mcusim_state *state) {
    const mcusim_window *m = &r->window;
    mcusim_learner l = *r->learner;
    uint64_t key = mcusim_key(l.seed, state->iteration);
    if (!state->updating || (uint32_t)(state->iteration + 1) % l.every) return;
    int depthwise = r->layout == MCUSIM_DEPTHWISE;
    uint32_t taps = (uint32_t)m->kh * m->kw, co = m->co, depth = m->ci / (uint32_t)r->groups;
    uint32_t each = depthwise ? co / m->ci : co / r->groups;
    float *total = l.total;
    l.every = 0; /* now the sums are gradients */
    uint32_t count = r->channels ? mcusim_learning(r->channels, r->count) : r->count;
    if (r->bias) taps = 1;
    for (uint32_t s = 0; s < count; s++) {
        uint32_t channel = r->channels ? (uint32_t)r->channels[s] : s;
        uint32_t first = (depthwise ? channel : channel / depth) * each;
        for (uint32_t tap = 0; tap < taps; tap++)
            for (uint32_t n = 0; n < each; n++) {
                uint32_t o = first + n;
                uint32_t element = r->bias ? n : depthwise ? tap * co + o : (o * taps + tap) * depth + channel % depth;
                uint32_t block = (s * taps + tap) * each + n;
                LEARN(&l, r->compact ? block : element, element, o, block, total[block]);
                total[block] = 0.0f;
            }
    }
}

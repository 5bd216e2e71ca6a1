/* Losses in float32 with exp and log of their own: the same bits on every machine.
 *
 * Range reduction and polynomials follow Cephes' expf and logf (S. L. Moshier); every product and every sum
 * rounds, in the order in which they stand. */
#include "arithmetic.h"

float mcusim_exponential(float x) {
    static const float c[6] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                               4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    x = mcusim_near(x, 87.0f);
    float n = mcusim_rint(x * 1.44269504088896341f);
    float r = (x - n * 0.693359375f) - n * -2.12194440e-4f, p = c[0];
    for (int i = 1; i < 6; i++) p = p * r + c[i];
    p = (p * (r * r) + r) + 1.0f;
    return p * mcusim_float((uint32_t)((int32_t)n + 127) << 23);
}

float mcusim_logarithm(float x) {
    static const float c[9] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                               -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                               2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
    uint32_t bits = mcusim_word(x);
    float e = (float)((int32_t)(bits >> 23) - 126);
    float m = mcusim_float((bits & 0x007fffffu) | 0x3f000000u);
    if (m < 0.70710678f) {
        e -= 1.0f;
        m = (m + m) - 1.0f;
    } else {
        m = m - 1.0f;
    }
    float z = m * m, p = c[0];
    for (int i = 1; i < 9; i++) p = p * m + c[i];
    float y = (m * z) * p;
    y = y + -2.12194440e-4f * e;
    y = y - 0.5f * z;
    return (m + y) + 0.693359375f * e;
}

static float logit(const mcusim_loss *r, uint32_t i) {
    return mcusim_meant(r->logits, r->logits_type, r->logits_scale, r->logits_zero, i);
}

static void chain(const mcusim_loss *r) {
    if (r->g && (r->logits_type == MCUSIM_INT8 || r->logits_type == MCUSIM_INT16))
        for (uint32_t i = 0; i < r->count; i++) r->g[i] *= r->chain;
}

/* Make the gradient that of a label which is spread over all classes; return by how much the loss is more. */
static float smoothed(const mcusim_loss *r, float *g, uint32_t first, uint32_t label, float top) {
    float part = r->smoothing / (float)r->classes, behind = 0.0f;
    float right = logit(r, first + label) - top;
    for (uint32_t i = 0; i < r->classes; i++) {
        if (g) g[i] -= part;
        behind += right - (logit(r, first + i) - top);
    }
    if (g) g[label] += r->smoothing;
    return part * behind;
}

static float cross_entropy(const mcusim_loss *r, uint32_t first, uint32_t label) {
    float *g = r->g ? r->g + first : NULL, top = logit(r, first), total = 0.0f;
    for (uint32_t i = 1; i < r->classes; i++) {
        float value = logit(r, first + i);
        top = value > top ? value : top;
    }
    for (uint32_t i = 0; i < r->classes; i++) {
        float e = mcusim_exponential(logit(r, first + i) - top);
        if (g) g[i] = e;
        total += e;
    }
    for (uint32_t i = 0; g && i < r->classes; i++) g[i] = g[i] / total;
    if (g) g[label] -= 1.0f;
    float right = logit(r, first + label) - top, loss = mcusim_logarithm(total) - right;
    return r->smoothing > 0.0f ? loss + smoothed(r, g, first, label, top) : loss;
}

void mcusim_cross_entropy(const void *record, mcusim_state *state) {
    const mcusim_loss *r = (const mcusim_loss *)record;
    state->loss = cross_entropy(r, 0, state->label.number);
    chain(r);
}

void mcusim_pixel_cross_entropy(const void *record, mcusim_state *state) {
    const mcusim_loss *r = (const mcusim_loss *)record;
    uint32_t pixels = r->count / r->classes;
    float total = 0.0f;
    for (uint32_t p = 0; p < pixels; p++) {
        total += cross_entropy(r, p * r->classes, ((const uint8_t *)r->target)[p]);
        for (uint32_t c = 0; r->g && c < r->classes; c++) r->g[p * r->classes + c] /= (float)pixels;
    }
    state->loss = total / (float)pixels;
    chain(r);
}

void mcusim_sigmoid_cross_entropy(const void *record, mcusim_state *state) {
    const mcusim_loss *r = (const mcusim_loss *)record;
    float total = 0.0f, count = (float)r->count;
    for (uint32_t i = 0; i < r->count; i++) {
        float z = logit(r, i), t = (float)((const uint8_t *)r->target)[i];
        float e = mcusim_exponential(z < 0.0f ? z : -z);
        if (r->g) r->g[i] = ((z >= 0.0f ? 1.0f : e) / (1.0f + e) - t) / count;
        total += ((z > 0.0f ? z : 0.0f) - z * t) + mcusim_logarithm(1.0f + e);
    }
    state->loss = total / count;
    chain(r);
}

void mcusim_squared_error(const void *record, mcusim_state *state) {
    const mcusim_loss *r = (const mcusim_loss *)record;
    float total = 0.0f, factor = 2.0f / (float)r->count;
    for (uint32_t i = 0; i < r->count; i++) {
        float d = logit(r, i) - mcusim_meant(r->target, r->target_type, r->target_scale, r->target_zero, i);
        total += d * d;
        if (r->g) r->g[i] = d * factor;
    }
    state->loss = total / (float)r->count;
    chain(r);
}

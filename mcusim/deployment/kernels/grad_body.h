/* Gradients of inputs, for one pair of error types: included once a pair, see grad_input.c.
 *
 * Every sum runs in a register, in the stated order: taps row by row, in a tap output channels ascending,
 * from zero; then it is stored, or added to what is there. */

static inline float NAME(load)(const GY *g, const float *scale, const uint8_t *mask, uint32_t i) {
#if GY_INTEGER
    float real = (float)g[i] * *scale;
#else
    float real = g[i];
    (void)scale;
#endif
    return mcusim_float(mcusim_word(real) & mcusim_passes(mask, i));
}

/* Element i + e of a gradient, where bit e says whether it passes. */
static inline float NAME(passed)(const GY *g, const float *scale, uint32_t inside, uint32_t i, uint32_t e) {
#if GY_INTEGER
    float real = (float)g[i + e] * *scale;
#else
    float real = g[i + e];
    (void)scale;
#endif
    return mcusim_float(mcusim_word(real) & (0u - (inside >> e & 1u)));
}

static inline void NAME(store)(GX *g, const mcusim_error *to, int accumulate, mcusim_state *state, uint32_t i,
                               float value) {
#if GX_INTEGER
    float scale = *to->scale, size;
    if (accumulate) value = (float)g[i] * scale + value;
    size = mcusim_float(mcusim_word(value) & 0x7fffffffu);
    *to->peak = size > *to->peak ? size : *to->peak;
    int32_t v = mcusim_nearest(value * (1.0f / scale));
    int32_t kept = v < -(GX_INTEGER) ? -(GX_INTEGER) : v > GX_INTEGER ? GX_INTEGER : v;
    state->saturated += (uint32_t)(kept != v);
    g[i] = (GX)kept;
#else
    (void)to;
    (void)state;
    g[i] = accumulate ? g[i] + value : value;
#endif
}

/* Of which learning channel k is, or -1: its weights are then in SRAM. */
static inline int NAME(slot)(const mcusim_grad_input *r, int k) {
    for (int s = 0; s < r->count; s++)
        if (r->channels[s] == k) return s;
    return -1;
}

void NAME(mcusim_grad_input_pointwise)(const void *record, mcusim_state *state) {
    const mcusim_grad_input *r = (const mcusim_grad_input *)record;
    const GY *g = (const GY *)r->g;
    GX *gx = (GX *)r->gx;
    uint32_t ci = r->window.ci, co = r->window.co, pixels = (uint32_t)r->window.h * r->window.w;
    int32_t zw = r->weight_zero;
    for (uint32_t p = 0; p < pixels; p++) {
        float *row = r->scratch;
        uint32_t k = 0, first = 0;
        for (; first + 4 <= co; first += 4) {
            uint32_t at = p * co + first, inside = mcusim_four_pass(r->mask, at);
            const float *f = r->factor + first;
            row[first] = NAME(passed)(g, r->from.scale, inside, at, 0) * f[0];
            row[first + 1] = NAME(passed)(g, r->from.scale, inside, at, 1) * f[1];
            row[first + 2] = NAME(passed)(g, r->from.scale, inside, at, 2) * f[2];
            row[first + 3] = NAME(passed)(g, r->from.scale, inside, at, 3) * f[3];
        }
        for (; first < co; first++)
            row[first] = NAME(load)(g, r->from.scale, r->mask, p * co + first) * r->factor[first];
        if (!r->count && !zw)
            for (; k + 4 <= ci; k += 4) {
                float s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
                const int8_t *q = (const int8_t *)r->weight + k;
                for (uint32_t o = 0; o < co; o++, q += ci) {
                    float v = row[o];
                    s0 += v * (float)q[0];
                    s1 += v * (float)q[1];
                    s2 += v * (float)q[2];
                    s3 += v * (float)q[3];
                }
                NAME(store)(gx, &r->to, r->accumulate, state, p * ci + k, s0);
                NAME(store)(gx, &r->to, r->accumulate, state, p * ci + k + 1, s1);
                NAME(store)(gx, &r->to, r->accumulate, state, p * ci + k + 2, s2);
                NAME(store)(gx, &r->to, r->accumulate, state, p * ci + k + 3, s3);
            }
        for (; k < ci; k++) {
            int slot = NAME(slot)(r, (int)k);
            const int8_t *q = slot < 0 ? (const int8_t *)r->weight + k : r->columns + (uint32_t)slot * co;
            uint32_t stride = slot < 0 ? ci : 1;
            float s = 0.0f;
            for (uint32_t o = 0; o < co; o++, q += stride) s += row[o] * (float)(*q - zw);
            NAME(store)(gx, &r->to, r->accumulate, state, p * ci + k, s);
        }
    }
}

/* The output row or column that meets input i through a tap; -1: none. */
static inline int NAME(met)(int i, int before, int tap, int stride, int outputs) {
    int a = i + before - tap;
    if (a < 0) return -1;
    if (stride == 2) {
        if (a & 1) return -1;
        a >>= 1;
    } else if (stride != 1) {
        if (a % stride) return -1;
        a /= stride;
    }
    return a < outputs ? a : -1;
}

void NAME(mcusim_grad_input_conv)(const void *record, mcusim_state *state) {
    const mcusim_grad_input *r = (const mcusim_grad_input *)record;
    const mcusim_window *m = &r->window;
    const GY *g = (const GY *)r->g;
    int ci = m->ci, co = m->co, taps = m->kh * m->kw, zw = r->weight_zero;
    for (int y = 0; y < m->h; y++)
        for (int x = 0; x < m->w; x++)
            for (int k = 0; k < ci; k++) {
                int slot = NAME(slot)(r, k), tap = 0;
                float s = 0.0f;
                for (int u = 0; u < m->kh; u++) {
                    int a = NAME(met)(y, m->top, u * m->dh, m->sh, m->oh);
                    for (int v = 0; v < m->kw; v++, tap++) {
                        int b = NAME(met)(x, m->left, v * m->dw, m->sw, m->ow);
                        if (a < 0 || b < 0) continue;
                        const int8_t *q = slot < 0 ? (const int8_t *)r->weight + tap * ci + k
                                                   : r->columns + (slot * taps + tap) * co;
                        int stride = slot < 0 ? taps * ci : 1;
                        uint32_t at = (uint32_t)((a * m->ow + b) * co);
                        for (int o = 0; o < co; o++, q += stride)
                            s += NAME(load)(g, r->from.scale, r->mask, at + (uint32_t)o) * r->factor[o] * (float)(*q - zw);
                    }
                }
                NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, (uint32_t)((y * m->w + x) * ci + k), s);
            }
}

/* Four channels of one input pixel, one output each: every tap is looked up once for all of them. */
MCUSIM_APART void NAME(four_channels)(const mcusim_grad_input *r, mcusim_state *state, int y, int x, int k) {
    const mcusim_window *m = &r->window;
    const GY *g = (const GY *)r->g;
    int co = m->co, zw = r->weight_zero;
    const int8_t *q = (const int8_t *)r->weight + k;
    const float *f = r->factor + k;
    float f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3], s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
    for (int u = 0; u < m->kh; u++) {
        int a = NAME(met)(y, m->top, u * m->dh, m->sh, m->oh);
        if (a < 0) {
            q += m->kw * co;
            continue;
        }
        for (int v = 0; v < m->kw; v++, q += co) {
            int b = NAME(met)(x, m->left, v * m->dw, m->sw, m->ow);
            if (b < 0) continue;
            uint32_t at = (uint32_t)((a * m->ow + b) * co + k);
            uint32_t inside = mcusim_four_pass(r->mask, at);
            s0 += NAME(passed)(g, r->from.scale, inside, at, 0) * f0 * (float)(q[0] - zw);
            s1 += NAME(passed)(g, r->from.scale, inside, at, 1) * f1 * (float)(q[1] - zw);
            s2 += NAME(passed)(g, r->from.scale, inside, at, 2) * f2 * (float)(q[2] - zw);
            s3 += NAME(passed)(g, r->from.scale, inside, at, 3) * f3 * (float)(q[3] - zw);
        }
    }
    uint32_t to = (uint32_t)((y * m->w + x) * m->ci + k);
    NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, to, s0);
    NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, to + 1, s1);
    NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, to + 2, s2);
    NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, to + 3, s3);
}

static void NAME(one_channel)(const mcusim_grad_input *r, mcusim_state *state, int y, int x, int k) {
    const mcusim_window *m = &r->window;
    const GY *g = (const GY *)r->g;
    int co = m->co, taps = m->kh * m->kw, multiplier = co / m->ci, slot = NAME(slot)(r, k), tap = 0;
    float s = 0.0f;
    for (int u = 0; u < m->kh; u++) {
        int a = NAME(met)(y, m->top, u * m->dh, m->sh, m->oh);
        for (int v = 0; v < m->kw; v++, tap++) {
            int b = NAME(met)(x, m->left, v * m->dw, m->sw, m->ow);
            if (a < 0 || b < 0) continue;
            for (int n = 0; n < multiplier; n++) {
                int o = k * multiplier + n;
                int32_t w = slot < 0 ? ((const int8_t *)r->weight)[tap * co + o]
                                     : r->columns[(slot * taps + tap) * multiplier + n];
                uint32_t at = (uint32_t)((a * m->ow + b) * co + o);
                s += NAME(load)(g, r->from.scale, r->mask, at) * r->factor[o] * (float)(w - r->weight_zero);
            }
        }
    }
    NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, (uint32_t)((y * m->w + x) * m->ci + k), s);
}

void NAME(mcusim_grad_input_depthwise)(const void *record, mcusim_state *state) {
    const mcusim_grad_input *r = (const mcusim_grad_input *)record;
    const mcusim_window *m = &r->window;
    int ci = m->ci, plain = m->co == m->ci && !r->count;
    for (int y = 0; y < m->h; y++)
        for (int x = 0; x < m->w; x++) {
            int k = 0;
            for (; plain && k + 4 <= ci; k += 4) NAME(four_channels)(r, state, y, x, k);
            for (; k < ci; k++) NAME(one_channel)(r, state, y, x, k);
        }
}

void NAME(mcusim_grad_input_dense)(const void *record, mcusim_state *state) {
    const mcusim_grad_input *r = (const mcusim_grad_input *)record;
    const GY *g = (const GY *)r->g;
    uint32_t inputs = r->window.ci, outputs = r->window.co;
    for (uint32_t row = 0, to = 0; row < r->window.ow; row++)
        for (uint32_t k = 0; k < inputs; k++, to++) {
            int slot = NAME(slot)(r, (int)k);
            float s = 0.0f;
            for (uint32_t o = 0; o < outputs; o++) {
                float v = NAME(load)(g, r->from.scale, r->mask, row * outputs + o);
                uint32_t there = slot < 0 ? o * inputs + k : (uint32_t)slot * outputs + o;
                const void *q = slot < 0 ? r->weight : (const void *)r->columns;
                if (r->weight_float)
                    s += v * ((const float *)q)[there];
                else
                    s += v * r->factor[o] * (float)(((const int8_t *)q)[there] - r->weight_zero);
            }
            NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, to, s);
        }
}

static float NAME(plain)(const mcusim_grad_plain *r, uint32_t at, uint32_t slope_at) {
    float g = NAME(load)((const GY *)r->g, r->from.scale, r->mask, at);
    if (!r->slope_of) return g * r->factor;
    int32_t q = mcusim_read(r->slope_of, r->wide, slope_at);
    return g * (r->slope ? r->slope[q + 128] : (float)(q - r->slope_zero) * r->factor);
}

/* The derivative of a function of one real, from it or from the value. */
static float NAME(curve)(const mcusim_grad_pair *p, float own) {
    if (p->function == MCUSIM_SIGMOID) return own * (1.0f - own);
    if (p->function == MCUSIM_TANGENT) return 1.0f - own * own;
    if (p->function == MCUSIM_LEAKY) return own >= 0.0f ? 1.0f : p->other_scale;
    return (float)(own > 0.0f) - (float)(own < 0.0f);
}

/* The derivative of a function of two reals by own. */
static float NAME(slope)(const mcusim_grad_pair *p, uint32_t own_at, uint32_t other_at) {
    float own = (float)(mcusim_read(p->own, p->plain.wide, own_at) - p->own_zero) * p->own_scale;
    if (!p->plain.slope_of) return NAME(curve)(p, own);
    int32_t stored = mcusim_read(p->plain.slope_of, p->plain.wide, other_at);
    float other = (float)(stored - p->plain.slope_zero) * p->other_scale;
    if (p->function == MCUSIM_LEAST) return p->second ? (float)(other > own) : (float)(own <= other);
    if (p->function == MCUSIM_MOST) return p->second ? (float)(other < own) : (float)(own >= other);
    if (p->function == MCUSIM_SQUARED) return 2.0f * (own - other);
    if (p->function == MCUSIM_SLOPED) {
        if (p->second) return other >= 0.0f ? 0.0f : other;
        return own >= 0.0f ? 1.0f : other;
    }
    if (!p->second) return other == 0.0f ? 0.0f : 1.0f / other;
    float inverse = own == 0.0f ? 0.0f : 1.0f / own;
    return -(other * inverse) * inverse;
}

/* What several outputs were made of sums their gradients, in the order of the dimensions in sums. */
MCUSIM_INLINE void NAME(plainly)(const mcusim_grad_plain *r, const mcusim_grad_pair *pair, mcusim_state *state) {
    const uint16_t *d = r->dims, *n = r->sums;
    uint32_t to = 0, i[4], j[4];
    int many = n[0] * n[1] * n[2] * n[3] > 1;
    for (i[0] = 0; i[0] < d[0]; i[0]++)
        for (i[1] = 0; i[1] < d[1]; i[1]++)
            for (i[2] = 0; i[2] < d[2]; i[2]++)
                for (i[3] = 0; i[3] < d[3]; i[3]++, to++) {
                    uint32_t at = 0, slope = 0;
                    for (int a = 0; a < 4; a++) {
                        at += i[a] * r->stride[a];
                        slope += i[a] * r->slope_stride[a];
                    }
                    float value = 0.0f;
                    for (j[0] = 0; j[0] < n[0]; j[0]++)
                        for (j[1] = 0; j[1] < n[1]; j[1]++)
                            for (j[2] = 0; j[2] < n[2]; j[2]++)
                                for (j[3] = 0; j[3] < n[3]; j[3]++) {
                                    uint32_t from = at, of = slope;
                                    for (int a = 0; a < 4; a++) {
                                        from += j[a] * r->sum_stride[a];
                                        of += j[a] * r->slope_sum_stride[a];
                                    }
                                    float v = pair ? NAME(load)((const GY *)r->g, r->from.scale, r->mask, from) *
                                                         (NAME(slope)(pair, to, of) * pair->ratio)
                                                   : NAME(plain)(r, from, of);
                                    value = many ? value + v : v;
                                }
                    NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, to, value);
                }
}

void NAME(mcusim_grad_plain)(const void *record, mcusim_state *state) {
    NAME(plainly)((const mcusim_grad_plain *)record, NULL, state);
}

void NAME(mcusim_grad_pair)(const void *record, mcusim_state *state) {
    const mcusim_grad_pair *r = (const mcusim_grad_pair *)record;
    NAME(plainly)(&r->plain, r, state);
}

void NAME(mcusim_grad_moved)(const void *record, mcusim_state *state) {
    const mcusim_grad_moved *r = (const mcusim_grad_moved *)record;
    uint32_t to = 0, i[4], j[4];
    for (i[0] = 0; i[0] < r->dims[0]; i[0]++)
        for (i[1] = 0; i[1] < r->dims[1]; i[1]++)
            for (i[2] = 0; i[2] < r->dims[2]; i[2]++)
                for (i[3] = 0; i[3] < r->dims[3]; i[3]++, to++) {
                    float value = 0.0f;
                    for (j[0] = r->first[0][i[0]]; j[0] < r->first[0][i[0] + 1]; j[0]++)
                        for (j[1] = r->first[1][i[1]]; j[1] < r->first[1][i[1] + 1]; j[1]++)
                            for (j[2] = r->first[2][i[2]]; j[2] < r->first[2][i[2] + 1]; j[2]++)
                                for (j[3] = r->first[3][i[3]]; j[3] < r->first[3][i[3] + 1]; j[3]++) {
                                    uint32_t at = 0;
                                    for (int a = 0; a < 4; a++) at += r->from[a][j[a]] * r->stride[a];
                                    value += NAME(load)((const GY *)r->g, r->from_error.scale, NULL, at);
                                }
                    NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, to, value);
                }
}

void NAME(mcusim_grad_extreme)(const void *record, mcusim_state *state) {
    const mcusim_grad_extreme *r = (const mcusim_grad_extreme *)record;
    for (uint32_t i = 0; i < r->outer; i++)
        for (uint32_t k = 0; k < r->inner; k++) {
            uint32_t first = i * r->reduced * r->inner + k, best = 0;
            for (uint32_t j = 1; j < r->reduced; j++) {
                int32_t v = mcusim_read(r->x, r->wide, first + j * r->inner);
                int32_t top = mcusim_read(r->x, r->wide, first + best * r->inner);
                if (r->least ? v < top : v > top) best = j;
            }
            float g = NAME(load)((const GY *)r->g, r->from.scale, NULL, i * r->inner + k);
            for (uint32_t j = 0; j < r->reduced; j++)
                NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, first + j * r->inner, j == best ? g : 0.0f);
        }
}

/* How many inputs an output averages, and which tap holds the first largest of them. */
static void NAME(looked)(const mcusim_grad_pool *r, int a, int b, int c, int *count, int *winner, int32_t *top) {
    const mcusim_window *m = &r->window;
    int tap = 0;
    *count = 0, *winner = -1, *top = -32769;
    for (int u = 0; u < m->kh; u++)
        for (int v = 0; v < m->kw; v++, tap++) {
            int row = a * m->sh + u * m->dh - m->top, col = b * m->sw + v * m->dw - m->left;
            if (row < 0 || row >= m->h || col < 0 || col >= m->w) continue;
            ++*count;
            int32_t x = r->x ? mcusim_read(r->x, r->wide, (uint32_t)((row * m->w + col) * m->ci + c)) : 0;
            if (x > *top) *top = x, *winner = tap;
        }
}

static void NAME(pooled)(const mcusim_grad_pool *r, mcusim_state *state) {
    const mcusim_window *m = &r->window;
    for (int y = 0; y < m->h; y++)
        for (int x = 0; x < m->w; x++)
            for (int c = 0; c < m->ci; c++) {
                int tap = 0;
                float s = 0.0f;
                for (int u = 0; u < m->kh; u++) {
                    int a = NAME(met)(y, m->top, u * m->dh, m->sh, m->oh);
                    for (int v = 0; v < m->kw; v++, tap++) {
                        int b = NAME(met)(x, m->left, v * m->dw, m->sw, m->ow), count, winner;
                        int32_t top;
                        if (a < 0 || b < 0) continue;
                        float g = NAME(load)((const GY *)r->g, r->from.scale, r->mask,
                                             (uint32_t)((a * m->ow + b) * m->ci + c));
                        NAME(looked)(r, a, b, c, &count, &winner, &top);
                        if (r->x)
                            s += winner == tap && top >= r->low && top <= r->high ? g : 0.0f;
                        else
                            s += g / (float)count;
                    }
                }
                NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, (uint32_t)((y * m->w + x) * m->ci + c), s);
            }
}

void NAME(mcusim_grad_average_pool)(const void *record, mcusim_state *state) {
    NAME(pooled)((const mcusim_grad_pool *)record, state);
}

void NAME(mcusim_grad_max_pool)(const void *record, mcusim_state *state) {
    NAME(pooled)((const mcusim_grad_pool *)record, state);
}

static inline float NAME(share)(const mcusim_grad_softmax *r, uint32_t i) {
    if (r->p_type == MCUSIM_FLOAT32) return ((const float *)r->p)[i];
    return (float)(mcusim_read(r->p, r->p_type == MCUSIM_INT16, i) - r->p_zero) * r->p_scale;
}

void NAME(mcusim_grad_softmax)(const void *record, mcusim_state *state) {
    const mcusim_grad_softmax *r = (const mcusim_grad_softmax *)record;
    const GY *g = (const GY *)r->g;
    for (uint32_t i = 0; i < r->rows; i++) {
        uint32_t first = i * r->columns;
        float total = 0.0f;
        for (uint32_t j = first; j < first + r->columns; j++)
            total += NAME(load)(g, r->from.scale, r->mask, j) * NAME(share)(r, j);
        for (uint32_t j = first; j < first + r->columns; j++) {
            float v = NAME(share)(r, j) * (NAME(load)(g, r->from.scale, r->mask, j) - total) * r->factor;
            NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, j, v);
        }
    }
}

void NAME(mcusim_grad_resize)(const void *record, mcusim_state *state) {
    const mcusim_grad_resize *r = (const mcusim_grad_resize *)record;
    int corners = r->down ? 2 : 1;
    for (int y = 0; y < r->h; y++)
        for (int x = 0; x < r->w; x++)
            for (int c = 0; c < r->channels; c++) {
                float s = 0.0f;
                for (int a = 0; a < corners; a++)
                    for (int b = 0; b < corners; b++)
                        for (int i = 0; i < r->oh; i++) {
                            if (r->rows[a * r->oh + i] != y) continue;
                            for (int j = 0; j < r->ow; j++) {
                                if (r->columns[b * r->ow + j] != x) continue;
                                uint32_t at = (uint32_t)((i * r->ow + j) * r->channels + c);
                                float v = NAME(load)((const GY *)r->g, r->from.scale, r->mask, at);
                                s += r->down ? v * (r->down[a * r->oh + i] * r->across[b * r->ow + j]) : v;
                            }
                        }
                NAME(store)((GX *)r->gx, &r->to, r->accumulate, state, (uint32_t)((y * r->w + x) * r->channels + c), s);
            }
}

#include "grad_rows.h"

/* Depthwise convolutions: each channel has windows of its own. */
#include "simd.h"

/* Weight of a tap of output o: in flash, or where its channel learns, in SRAM. */
static int32_t weight_of(const mcusim_convolution *r, int tap, int o, int multiplier) {
    int taps = r->window.kh * r->window.kw, channel = o / multiplier;
    for (int s = 0; s < r->count; s++)
        if (r->channels[s] == channel) return r->columns[(s * taps + tap) * multiplier + o % multiplier];
    return r->weight[tap * r->window.co + o];
}

/* One output, over the taps that meet the image. */
static int32_t one_sum(const mcusim_convolution *r, int i, int j, int o, int multiplier) {
    const mcusim_window *m = &r->window;
    int32_t acc = r->bias ? r->bias[o] : 0;
    int tap = 0;
    for (int u = 0; u < m->kh; u++)
        for (int v = 0; v < m->kw; v++, tap++) {
            int row = i * m->sh + u * m->dh - m->top, col = j * m->sw + v * m->dw - m->left;
            if (row < 0 || row >= m->h || col < 0 || col >= m->w) continue;
            int32_t w = r->columns ? weight_of(r, tap, o, multiplier) : r->weight[tap * m->co + o];
            acc += (r->x[(row * m->w + col) * m->ci + o / multiplier] - r->x_zero) * (w - r->weight_zero);
        }
    return acc;
}

/* Four neighbouring channels, one output each: every tap is looked up once for all of them. */
static void four_sums(const mcusim_convolution *r, int i, int j, int o, int32_t *acc) {
    const mcusim_window *m = &r->window;
    const int8_t *w = r->weight + o;
    int32_t zx = r->x_zero, zw = r->weight_zero, a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
    int channels = m->ci, top = i * m->sh - m->top, left = j * m->sw - m->left;
#if MCUSIM_SIMD
    int16x2_t zeros = mcusim_twice(zx), weight_zeros = mcusim_twice(zw);
#endif
    for (int u = 0; u < m->kh; u++, top += m->dh) {
        int col = left;
        if (top < 0 || top >= m->h) {
            w += m->kw * channels;
            continue;
        }
        for (int v = 0; v < m->kw; v++, col += m->dw, w += channels) {
            if (col < 0 || col >= m->w) continue;
            const int8_t *x = r->x + (top * m->w + col) * channels + o;
#if MCUSIM_SIMD
            uint32_t vx = mcusim_four(x), vw = mcusim_four(w);
            int16x2_t x0 = __ssub16(mcusim_even(vx), zeros), x1 = __ssub16(mcusim_odd(vx), zeros);
            int16x2_t w0 = __ssub16(mcusim_even(vw), weight_zeros), w1 = __ssub16(mcusim_odd(vw), weight_zeros);
            a0 = __smlabb(x0, w0, a0);
            a1 = __smlabb(x1, w1, a1);
            a2 = __smlatt(x0, w0, a2);
            a3 = __smlatt(x1, w1, a3);
#else
            a0 += (x[0] - zx) * (w[0] - zw);
            a1 += (x[1] - zx) * (w[1] - zw);
            a2 += (x[2] - zx) * (w[2] - zw);
            a3 += (x[3] - zx) * (w[3] - zw);
#endif
        }
    }
    acc[0] = a0, acc[1] = a1, acc[2] = a2, acc[3] = a3;
}

/* Straight from the input, pixel by pixel: an output may grow over lines that are no longer read. */
void mcusim_depthwise(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    mcusim_writer bits = {r->mask, 0, 0};
    int8_t *y = r->y;
    int multiplier = m->co / m->ci, plain = multiplier == 1 && !r->columns;
    int32_t acc[4];
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++)
            for (int o = 0; o < m->co;) {
                int some = plain && m->co - o >= 4 ? 4 : 1;
                if (some == 4) {
                    for (int e = 0; e < 4; e++) acc[e] = r->bias ? r->bias[o + e] : 0;
                    four_sums(r, i, j, o, acc);
                } else {
                    acc[0] = one_sum(r, i, j, o, multiplier);
                }
                mcusim_some_bits(&bits, mcusim_outputs(&r->output, acc, some, o, 1, y, 1), (uint32_t)some);
                y += some, o += some;
            }
    mcusim_bits_end(&bits);
}

/* The weights of one channel, 3 x 3. */
typedef struct {
    int32_t start, w[9]; /* start: the bias, less what the zero point of x adds */
} three;

static inline int32_t three_by_three(const three *t, const int8_t *p, int width) {
    const int8_t *p1 = p + width, *p2 = p1 + width;
    const int32_t *w = t->w;
    return t->start + p[0] * w[0] + p[1] * w[1] + p[2] * w[2] + p1[0] * w[3] + p1[1] * w[4] + p1[2] * w[5] +
           p2[0] * w[6] + p2[1] * w[7] + p2[2] * w[8];
}

#if MCUSIM_SIMD
/* The outer two weights of each row in one register, the middle one in another; zero points are 0. */
typedef struct {
    int16x2_t outer[3], middle[3];
} packed;

static packed packed_of(const three *t) {
    packed k;
    for (int u = 0; u < 3; u++) {
        k.outer[u] = (int16x2_t)(((uint32_t)t->w[3 * u] & 0xffffu) | (uint32_t)t->w[3 * u + 2] << 16);
        k.middle[u] = (int16x2_t)((uint32_t)t->w[3 * u + 1] & 0xffffu);
    }
    return k;
}

/* Two neighbouring windows: four bytes of each row serve both. */
static inline void two_windows(const packed *k, const int8_t *p, int width, int32_t *first, int32_t *second) {
    int32_t a = *first, b = *second;
    for (int u = 0; u < 3; u++, p += width) {
        uint32_t v = mcusim_four(p);
        int16x2_t even = mcusim_even(v), odd = mcusim_odd(v);
        a = __smlad(odd, k->middle[u], __smlad(even, k->outer[u], a));
        b = __smlad((int16x2_t)((uint32_t)even >> 16), k->middle[u], __smlad(odd, k->outer[u], b));
    }
    *first = a, *second = b;
}
#endif

typedef struct {
    const mcusim_convolution *record;
    int channel, at; /* at: which element of the output is next */
} plane_output;

/* Write the next outputs of the channel, count <= 2. */
static void put(plane_output *to, const int32_t *acc, int count) {
    const mcusim_convolution *r = to->record;
    uint32_t inside = mcusim_outputs(&r->output, acc, count, to->channel, 0, r->y + to->at, r->window.ci);
    for (; count; count--, inside >>= 1, to->at += r->window.ci)
        if (r->mask) {
            uint8_t *byte = r->mask + (to->at >> 3);
            *byte = (uint8_t)(*byte | (inside & 1u) << (to->at & 7));
        }
}

static void three_rows(const mcusim_convolution *r, const three *t, const int8_t *plane, int width, plane_output *to) {
    const mcusim_window *m = &r->window;
#if MCUSIM_SIMD
    packed k = packed_of(t);
#endif
    for (int i = 0; i < m->oh; i++) {
        const int8_t *p = plane + i * m->sh * width;
        int j = 0;
#if MCUSIM_SIMD
        for (; m->sw == 1 && j + 2 <= m->ow; j += 2, p += 2) {
            int32_t acc[2] = {t->start, t->start};
            two_windows(&k, p, width, &acc[0], &acc[1]);
            put(to, acc, 2);
        }
#endif
        for (; j < m->ow; j++, p += m->sw) {
            int32_t acc = three_by_three(t, p, width);
            put(to, &acc, 1);
        }
    }
}

/* One channel plane at a time through a padded copy of it: the output of channel c lands only on bytes of
 * channel c, so y may begin where x does. */
void mcusim_depthwise_plane(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    int8_t *plane = (int8_t *)r->scratch;
    int channels = m->ci, width = m->w + m->left + r->right, height = m->h + m->top + r->bottom;
    int taps = m->kh * m->kw, small = m->kh == 3 && m->kw == 3 && m->dh == 1 && m->dw == 1;
    int32_t zx = r->x_zero, zw = r->weight_zero;
    (void)state;
    if (r->mask)
        for (int i = 0; i < (m->oh * m->ow * channels + 7) >> 3; i++) r->mask[i] = 0;
    for (int i = 0; i < width * height; i++) plane[i] = (int8_t)zx;
    for (int c = 0; c < channels; c++) {
        const int8_t *x = r->x + c, *q = r->weight + c;
        int stride = channels;
        plane_output to = {r, c, c};
        for (int s = 0; s < r->count; s++)
            if (r->channels[s] == c) {
                q = r->columns + s * taps;
                stride = 1;
            }
        for (int i = 0; i < m->h; i++) {
            int8_t *row = plane + (i + m->top) * width + m->left;
            for (int j = 0; j < m->w; j++, x += channels) row[j] = *x;
        }
        three t;
        t.start = r->bias ? r->bias[c] : 0;
        if (small) {
            for (int k = 0; k < 9; k++, q += stride) {
                t.w[k] = *q - zw;
                t.start -= zx * t.w[k];
            }
            three_rows(r, &t, plane, width, &to);
            continue;
        }
        for (int i = 0; i < m->oh; i++)
            for (int j = 0; j < m->ow; j++) {
                const int8_t *p = plane + i * m->sh * width + j * m->sw, *w = q;
                int32_t acc = t.start;
                for (int u = 0; u < m->kh; u++)
                    for (int v = 0; v < m->kw; v++, w += stride)
                        acc += (p[u * m->dh * width + v * m->dw] - zx) * (*w - zw);
                put(&to, &acc, 1);
            }
    }
}

/* Depthwise convolutions: each channel has windows of its own. */
#include "simd.h"

enum { OUTPUTS = 16 }; /* that are rescaled one after another */

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

/* The taps of an output pixel that meet the image: the same for all of its channels. */
typedef struct {
    const int8_t *x, *w; /* of the first one, channel 0 */
    int rows, columns, x_column, x_skip, w_skip; /* skip: from behind the last tap of a row to the next one */
} meeting;

/* How many of so many taps, each apart, lie before an image that begins at 0, and how many in it. */
static int before(int first, int apart, int taps) {
    int n = 0;
    for (; n < taps && first < 0; first += apart) n++;
    return n;
}

MCUSIM_APART meeting met_at(const mcusim_convolution *r, int i, int j) {
    const mcusim_window *m = &r->window;
    int top = i * m->sh - m->top, left = j * m->sw - m->left, channels = m->ci;
    int above = before(top, m->dh, m->kh), beside = before(left, m->dw, m->kw);
    int row = top + above * m->dh, column = left + beside * m->dw;
    meeting t;
    t.rows = before(row - m->h, m->dh, m->kh - above);
    t.columns = before(column - m->w, m->dw, m->kw - beside);
    t.x = r->x + (t.rows && t.columns ? (row * m->w + column) * channels : 0);
    t.w = r->weight + (above * m->kw + beside) * channels;
    t.x_column = m->dw * channels;
    t.x_skip = m->dh * m->w * channels - t.columns * t.x_column;
    t.w_skip = (m->kw - t.columns) * channels;
    return t;
}

/* Four neighbouring channels, one output each. */
MCUSIM_APART void four_channels(const mcusim_convolution *r, const meeting *t, int o, int32_t *acc) {
    const int8_t *x = t->x + o, *w = t->w + o;
    int32_t zx = r->x_zero, zw = r->weight_zero, a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
    int channels = r->window.ci, x_column = t->x_column;
    for (int u = t->rows; u; u--, x += t->x_skip, w += t->w_skip)
        for (int v = t->columns; v; v--, x += x_column, w += channels) {
            a0 += (x[0] - zx) * (w[0] - zw);
            a1 += (x[1] - zx) * (w[1] - zw);
            a2 += (x[2] - zx) * (w[2] - zw);
            a3 += (x[3] - zx) * (w[3] - zw);
        }
    acc[0] = a0, acc[1] = a1, acc[2] = a2, acc[3] = a3;
}

#if MCUSIM_SIMD
typedef struct {
    int32_t first, second, third, fourth;
} four;

/* One tap of four channels: less is what is added to each input. */
MCUSIM_INLINE void add_tap(four *sums, int16x2_t less, const int8_t *x, const int8_t *w) {
    uint32_t vx = mcusim_four(x), vw = mcusim_four(w);
    int16x2_t pair = mcusim_even_plus(less, vx), by = mcusim_even(vw);
    sums->first = __smlabb(pair, by, sums->first);
    sums->third = __smlatt(pair, by, sums->third);
    pair = mcusim_odd_plus(less, vx), by = mcusim_odd(vw);
    sums->second = __smlabb(pair, by, sums->second);
    sums->fourth = __smlatt(pair, by, sums->fourth);
}

/* The same where the zero point of the weights is 0. */
MCUSIM_INLINE void add_taps(const mcusim_convolution *r, const meeting *t, int o, int32_t *acc, int three) {
    const int8_t *x = t->x + o, *w = t->w + o;
    int16x2_t less = mcusim_twice(-r->x_zero);
    four sums = {acc[0], acc[1], acc[2], acc[3]};
    int channels = r->window.ci, x_column = t->x_column;
    for (int u = t->rows; u; u--, x += t->x_skip, w += t->w_skip) {
        if (three) {
            add_tap(&sums, less, x, w), x += x_column, w += channels;
            add_tap(&sums, less, x, w), x += x_column, w += channels;
        }
        for (int v = three ? 1 : t->columns; v; v--, x += x_column, w += channels) add_tap(&sums, less, x, w);
    }
    acc[0] = sums.first, acc[1] = sums.second, acc[2] = sums.third, acc[3] = sums.fourth;
}

MCUSIM_APART void three_wide(const mcusim_convolution *r, const meeting *t, int o, int32_t *acc) {
    add_taps(r, t, o, acc, 1);
}

MCUSIM_APART void any_wide(const mcusim_convolution *r, const meeting *t, int o, int32_t *acc) {
    add_taps(r, t, o, acc, 0);
}
#endif

/* Straight from the input, pixel by pixel: an output may grow over lines that are no longer read. */
void mcusim_depthwise(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    mcusim_writer bits = {r->mask, 0, 0};
    int8_t *y = r->y;
    int multiplier = m->co / m->ci, plain = multiplier == 1 && !r->columns, co = m->co;
#if MCUSIM_SIMD
    int fast = plain && !r->weight_zero;
#endif
    int32_t acc[OUTPUTS];
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++) {
            const meeting t = met_at(r, i, j);
            for (int o = 0; o < co;) {
                int some = co - o < OUTPUTS ? co - o : OUTPUTS, e = 0;
                for (int n = 0; n < some; n++) acc[n] = r->bias ? r->bias[o + n] : 0;
#if MCUSIM_SIMD
                for (; fast && e + 4 <= some; e += 4)
                    if (t.columns == 3)
                        three_wide(r, &t, o + e, acc + e);
                    else
                        any_wide(r, &t, o + e, acc + e);
#endif
                for (; plain && e + 4 <= some; e += 4) four_channels(r, &t, o + e, acc + e);
                for (; e < some; e++) acc[e] = one_sum(r, i, j, o + e, multiplier);
                mcusim_some_bits(&bits, mcusim_outputs(&r->output, acc, some, o, 1, y, 1), (uint32_t)some);
                y += some, o += some;
            }
        }
    mcusim_bits_end(&bits);
}

enum { MOST_ROWS = 8, MOST_COLUMNS = 8 };

/* The weights of one channel, and how its windows lie over the padded plane. */
typedef struct {
    int32_t start; /* the bias, less what the zero point of x adds */
    int32_t w[9];  /* 3 x 3 */
    const int8_t *q;
    int stride, zero, rows, columns, row, column; /* row, column: bytes from a tap to the next below or beside it */
    const int8_t *end;                            /* of the plane */
#if MCUSIM_SIMD
    int16x2_t even[2 * MOST_ROWS], odd[2 * MOST_ROWS]; /* of four taps: two groups a row if there are more, which meet */
    int groups, second;
#endif
} windows;

static inline int32_t three_by_three(const windows *k, const int8_t *p) {
    const int8_t *p1 = p + k->row, *p2 = p1 + k->row;
    const int32_t *w = k->w;
    return k->start + p[0] * w[0] + p[1] * w[1] + p[2] * w[2] + p1[0] * w[3] + p1[1] * w[4] + p1[2] * w[5] +
           p2[0] * w[6] + p2[1] * w[7] + p2[2] * w[8];
}

static int32_t any_window(const windows *k, const int8_t *p) {
    const int8_t *q = k->q;
    int32_t acc = k->start;
    for (int u = 0; u < k->rows; u++, p += k->row)
        for (int v = 0; v < k->columns; v++, q += k->stride) acc += p[v * k->column] * (*q - k->zero);
    return acc;
}

#if MCUSIM_SIMD
static uint32_t weight_at(const windows *k, int u, int v, int from) {
    return from <= v && v < k->columns ? (uint32_t)(k->q[(u * k->columns + v) * k->stride] - k->zero) & 0xffffu : 0u;
}

static void pack(windows *k, int small) {
    k->groups = k->column != 1 || k->columns > MOST_COLUMNS || k->rows > MOST_ROWS ? 0 : k->columns > 4 ? 2 : 1;
    k->second = k->columns - 4;
    if (small) {
        const int32_t *w = k->w;
        for (int u = 0; u < 3; u++, w += 3) {
            k->even[u] = (int16x2_t)(((uint32_t)w[0] & 0xffffu) | (uint32_t)w[2] << 16);
            k->odd[u] = (int16x2_t)((uint32_t)w[1] & 0xffffu);
        }
        return;
    }
    for (int u = 0, n = 0; u < k->rows && k->groups; u++)
        for (int g = 0; g < k->groups; g++, n++) {
            int v = g * k->second, from = g * 4;
            k->even[n] = (int16x2_t)(weight_at(k, u, v, from) | weight_at(k, u, v + 2, from) << 16);
            k->odd[n] = (int16x2_t)(weight_at(k, u, v + 1, from) | weight_at(k, u, v + 3, from) << 16);
        }
}

static inline int32_t four_taps(const int8_t *p, int16x2_t even, int16x2_t odd, int32_t acc) {
    uint32_t v = mcusim_four(p);
    return __smlad(mcusim_odd(v), odd, __smlad(mcusim_even(v), even, acc));
}

/* Four bytes of a row at a time; those beyond the window have weights of 0. */
MCUSIM_APART int32_t packed_window(const windows *k, const int8_t *p) {
    const int16x2_t *even = k->even, *odd = k->odd;
    int32_t acc = k->start;
    if (k->groups == 1)
        for (int u = k->rows; u; u--, p += k->row) acc = four_taps(p, *even++, *odd++, acc);
    else
        for (int u = k->rows, second = k->second; u; u--, p += k->row, even += 2, odd += 2) {
            acc = four_taps(p, even[0], odd[0], acc);
            acc = four_taps(p + second, even[1], odd[1], acc);
        }
    return acc;
}

/* Some neighbouring windows, 3 x 3, two at a time: four bytes of each row serve both. */
MCUSIM_APART void pairs(const windows *k, const int8_t *p, int count, int32_t *acc) {
    for (; count; count -= 2, p += 2, acc += 2) {
        const int8_t *row = p;
        int32_t a = k->start, b = a;
        for (int u = 0; u < 3; u++, row += k->row) {
            uint32_t v = mcusim_four(row);
            int16x2_t even = mcusim_even(v), odd = mcusim_odd(v);
            a = __smlad(odd, k->odd[u], __smlad(even, k->even[u], a));
            b = __smlad((int16x2_t)((uint32_t)even >> 16), k->odd[u], __smlad(odd, k->even[u], b));
        }
        acc[0] = a, acc[1] = b;
    }
}

/* Some windows, 3 x 3, by themselves. */
MCUSIM_APART void singles(const windows *k, const int8_t *p, int across, int count, int32_t *acc) {
    const int16x2_t e0 = k->even[0], e1 = k->even[1], e2 = k->even[2], o0 = k->odd[0], o1 = k->odd[1], o2 = k->odd[2];
    int32_t start = k->start;
    int row = k->row;
    for (; count; count--, p += across)
        *acc++ = four_taps(p + 2 * row, e2, o2, four_taps(p + row, e1, o1, four_taps(p, e0, o0, start)));
}
#else
static void pack(windows *k, int small) { (void)k, (void)small; }
#endif

static int32_t window_at(const windows *k, const int8_t *p, int small) {
#if MCUSIM_SIMD
    if (k->groups && p + (k->rows - 1) * k->row + 4 <= k->end) return packed_window(k, p);
#endif
    return small ? three_by_three(k, p) : any_window(k, p);
}

/* The next windows of a row, at most so many of those that are left: return how many. The last one reads a byte that
 * may lie behind the plane, unless it is one of a pair. */
static int next_windows(const windows *k, const int8_t *p, int across, int most, int left, int small, int32_t *acc) {
#if MCUSIM_SIMD
    int count = most < left ? most : left;
    if (small && across == 1 && count > 1) {
        pairs(k, p, count &= ~1, acc);
        return count;
    }
    count -= count == left;
    if (small && count) {
        singles(k, p, across, count, acc);
        return count;
    }
#else
    (void)across, (void)most, (void)left;
#endif
    *acc = window_at(k, p, small);
    return 1;
}

typedef struct {
    const mcusim_convolution *record;
    int channel, at; /* at: which element of the output is next */
} plane_output;

/* Write the next outputs of the channel, count <= 32. */
MCUSIM_APART void put(plane_output *to, const int32_t *acc, int count) {
    const mcusim_convolution *r = to->record;
    uint32_t inside = mcusim_outputs(&r->output, acc, count, to->channel, 0, r->y + to->at, r->window.ci);
    if (!r->mask) {
        to->at += count * r->window.ci;
        return;
    }
    for (; count; count--, inside >>= 1, to->at += r->window.ci) {
        uint8_t *byte = r->mask + (to->at >> 3);
        *byte = (uint8_t)(*byte | (inside & 1u) << (to->at & 7));
    }
}

MCUSIM_APART void one_plane(const mcusim_convolution *r, const windows *k, const int8_t *plane, int small,
                            plane_output *to) {
    const mcusim_window *m = &r->window;
    int32_t acc[OUTPUTS];
    int rows = m->oh, columns = m->ow, across = m->sw, down = m->sh * k->row, count = 0;
    for (int i = 0; i < rows; i++, plane += down)
        for (int j = 0; j < columns;) {
            int some = next_windows(k, plane + j * across, across, OUTPUTS - count, columns - j, small, acc + count);
            count += some, j += some;
            if (count == OUTPUTS) {
                put(to, acc, count);
                count = 0;
            }
        }
    if (count) put(to, acc, count);
}

MCUSIM_APART void copy_plane(const mcusim_window *m, const int8_t *x, int8_t *row, int width) {
    int channels = m->ci, columns = m->w;
    for (int i = m->h; i; i--, row += width) {
        int8_t *to = row;
        int j = columns;
        for (; j >= 4; j -= 4, x += 4 * channels, to += 4) {
            to[0] = x[0];
            to[1] = x[channels];
            to[2] = x[2 * channels];
            to[3] = x[3 * channels];
        }
        for (; j; j--, x += channels) *to++ = *x;
    }
}

/* One channel plane at a time through a padded copy of it: the output of channel c lands only on bytes of
 * channel c, so y may begin where x does. */
void mcusim_depthwise_plane(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    int8_t *plane = (int8_t *)r->scratch;
    int channels = m->ci, width = m->w + m->left + r->right, height = m->h + m->top + r->bottom;
    int taps = m->kh * m->kw, small = m->kh == 3 && m->kw == 3 && m->dw == 1;
    int32_t zx = r->x_zero;
    windows k;
    (void)state;
    k.zero = r->weight_zero, k.rows = m->kh, k.columns = m->kw, k.row = m->dh * width, k.column = m->dw;
    k.end = plane + width * height;
    if (r->mask)
        for (int i = 0; i < (m->oh * m->ow * channels + 7) >> 3; i++) r->mask[i] = 0;
    for (int i = 0; i < width * height; i++) plane[i] = (int8_t)zx;
    for (int c = 0; c < channels; c++) {
        plane_output to = {r, c, c};
        k.q = r->weight + c, k.stride = channels;
        for (int s = 0; s < r->count; s++)
            if (r->channels[s] == c) {
                k.q = r->columns + s * taps;
                k.stride = 1;
            }
        const int8_t *q = k.q;
        int32_t start = r->bias ? r->bias[c] : 0;
        for (int t = 0; t < taps; t++, q += k.stride) {
            int32_t w = *q - k.zero;
            start -= zx * w;
            if (small) k.w[t] = w;
        }
        k.start = start;
        pack(&k, small);
        copy_plane(m, r->x + c, plane + m->top * width + m->left, width);
        one_plane(r, &k, plane, small, &to);
    }
}

/* Depthwise convolutions: each channel has windows of its own. */
#include "arithmetic.h"

/* Weight of a tap of output o: in flash, or where its channel learns, in SRAM. */
static int32_t weight_of(const mcusim_convolution *r, int tap, int o, int multiplier) {
    int taps = r->window.kh * r->window.kw, channel = o / multiplier;
    for (int s = 0; s < r->count; s++)
        if (r->channels[s] == channel) return r->columns[(s * taps + tap) * multiplier + o % multiplier];
    return r->weight[tap * r->window.co + o];
}

/* Straight from the input, which must not be overwritten. */
void mcusim_depthwise(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    mcusim_writer bits = {r->mask, 0, 0};
    int8_t *y = r->y;
    int multiplier = m->co / m->ci;
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++)
            for (int o = 0; o < m->co; o++) {
                int32_t acc = r->bias ? r->bias[o] : 0;
                int tap = 0;
                for (int u = 0; u < m->kh; u++)
                    for (int v = 0; v < m->kw; v++, tap++) {
                        int row = i * m->sh + u * m->dh - m->top, col = j * m->sw + v * m->dw - m->left;
                        if (row < 0 || row >= m->h || col < 0 || col >= m->w) continue;
                        int32_t w = r->columns ? weight_of(r, tap, o, multiplier) : r->weight[tap * m->co + o];
                        acc += (r->x[(row * m->w + col) * m->ci + o / multiplier] - r->x_zero) * (w - r->weight_zero);
                    }
                int32_t value = mcusim_rescaled(&r->output, acc, o);
                *y++ = mcusim_clamped(&r->output, value);
                mcusim_bit(&bits, mcusim_inside(&r->output, value));
            }
    mcusim_bits_end(&bits);
}

/* One channel plane at a time through a padded copy of it: the output of channel c lands only on bytes of
 * channel c, so y may begin where x does. */
void mcusim_depthwise_plane(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    int8_t *plane = (int8_t *)r->scratch;
    int channels = m->ci, width = m->w + m->left + r->right, height = m->h + m->top + r->bottom;
    int taps = m->kh * m->kw, three = m->kh == 3 && m->kw == 3 && m->dh == 1 && m->dw == 1;
    int32_t zx = r->x_zero, zw = r->weight_zero;
    (void)state;
    if (r->mask)
        for (int i = 0; i < (m->oh * m->ow * channels + 7) >> 3; i++) r->mask[i] = 0;
    for (int i = 0; i < width * height; i++) plane[i] = (int8_t)zx;
    for (int c = 0; c < channels; c++) {
        const int8_t *x = r->x + c, *q = r->weight + c;
        int at = c, stride = channels;
        for (int s = 0; s < r->count; s++)
            if (r->channels[s] == c) {
                q = r->columns + s * taps;
                stride = 1;
            }
        for (int i = 0; i < m->h; i++) {
            int8_t *to = plane + (i + m->top) * width + m->left;
            for (int j = 0; j < m->w; j++, x += channels) to[j] = *x;
        }
        int32_t start = r->bias ? r->bias[c] : 0;
        int32_t w0 = 0, w1 = 0, w2 = 0, w3 = 0, w4 = 0, w5 = 0, w6 = 0, w7 = 0, w8 = 0;
        if (three) {
            w0 = q[0] - zw, w1 = q[stride] - zw, w2 = q[2 * stride] - zw;
            w3 = q[3 * stride] - zw, w4 = q[4 * stride] - zw, w5 = q[5 * stride] - zw;
            w6 = q[6 * stride] - zw, w7 = q[7 * stride] - zw, w8 = q[8 * stride] - zw;
            start -= zx * (w0 + w1 + w2 + w3 + w4 + w5 + w6 + w7 + w8);
        }
        for (int i = 0; i < m->oh; i++) {
            const int8_t *p = plane + i * m->sh * width, *p1 = p + width, *p2 = p1 + width;
            for (int j = 0; j < m->ow; j++, at += channels, p += m->sw, p1 += m->sw, p2 += m->sw) {
                int32_t acc = start;
                if (three) {
                    acc += p[0] * w0 + p[1] * w1 + p[2] * w2 + p1[0] * w3 + p1[1] * w4 + p1[2] * w5 +
                           p2[0] * w6 + p2[1] * w7 + p2[2] * w8;
                } else {
                    const int8_t *w = q;
                    for (int u = 0; u < m->kh; u++)
                        for (int v = 0; v < m->kw; v++, w += stride)
                            acc += (p[u * m->dh * width + v * m->dw] - zx) * (*w - zw);
                }
                int32_t value = mcusim_rescaled(&r->output, acc, c);
                r->y[at] = mcusim_clamped(&r->output, value);
                if (r->mask)
                    r->mask[at >> 3] = (uint8_t)(r->mask[at >> 3] | mcusim_inside(&r->output, value) << (at & 7));
            }
        }
    }
}

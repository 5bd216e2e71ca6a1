/* Means and maxima over windows, and means over whole dimensions. */
#include "arithmetic.h"

static int32_t divided(int32_t total, int32_t count) {
    int32_t size = ((total < 0 ? -total : total) + count / 2) / count;
    return total < 0 ? -size : size;
}

static int32_t average_of(const mcusim_pool *r, int32_t total, int32_t count) {
    if (r->rounding == MCUSIM_NEAREST) return mcusim_nearest((float)total / (float)count);
    if (r->is_unsigned) return (total + 128 * count + count / 2) / count - 128;
    return divided(total, count);
}

static void pool(const mcusim_pool *r, int average) {
    const mcusim_window *m = &r->window;
    mcusim_writer bits = {r->mask, 0, 0};
    mcusim_output out = {NULL, NULL, NULL, 0, r->low, r->high, 0};
    int8_t *y = r->y;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++)
            for (int c = 0; c < m->ci; c++) {
                int32_t total = 0, count = 0, top = -128;
                for (int u = 0; u < m->kh; u++)
                    for (int v = 0; v < m->kw; v++) {
                        int row = i * m->sh + u * m->dh - m->top, col = j * m->sw + v * m->dw - m->left;
                        if (row < 0 || row >= m->h || col < 0 || col >= m->w) continue;
                        int32_t x = r->x[(row * m->w + col) * m->ci + c];
                        total += x;
                        count++;
                        top = x > top ? x : top;
                    }
                int32_t value = average ? average_of(r, total, count) : top;
                *y++ = mcusim_clamped(&out, value);
                mcusim_bit(&bits, mcusim_inside(&out, value));
            }
    mcusim_bits_end(&bits);
}

void mcusim_average_pool(const void *record, mcusim_state *state) {
    (void)state;
    pool((const mcusim_pool *)record, 1);
}

void mcusim_max_pool(const void *record, mcusim_state *state) {
    (void)state;
    pool((const mcusim_pool *)record, 0);
}

/* Rows of the convolution that the next row of the pool reads again move to the top of the room; those that are
 * missing are computed below them. Kernels of whole images do it, told of the rows that matter. */
void mcusim_pooled_rows(const void *record, mcusim_state *state) {
    const mcusim_pooled *r = (const mcusim_pooled *)record;
    mcusim_convolution some;
    mcusim_pool row;
    const mcusim_window *m = &r->convolution.window, *p = &r->pool.window;
    int size = r->bytes, length = m->ow * m->co * size, first = 0, made = 0;
    mcusim_copied(&some, &r->convolution, sizeof some);
    mcusim_copied(&row, &r->pool, sizeof row);
    row.window.oh = 1;
    for (int i = 0; i < p->oh; i++) {
        int top = i * p->sh - p->top, low = top > 0 ? top : 0;
        int high = top + p->kh < p->h ? top + p->kh : p->h;
        if (low > first)
            for (int k = 0; k < (made - low) * length; k++)
                r->convolution.y[k] = r->convolution.y[k + (low - first) * length];
        first = low;
        if (high > made) {
            int at = made * m->sh - m->top, skip = at > 0 ? at : 0;
            some.x = r->convolution.x + skip * m->w * m->ci * size;
            some.y = r->convolution.y + (made - first) * length;
            some.window.h = (uint16_t)(m->h - skip);
            some.window.oh = (uint16_t)(high - made);
            some.window.top = (int8_t)(skip - at);
            r->rows(&some, state);
            made = high;
        }
        row.y = r->pool.y + i * p->ow * p->ci * size;
        row.window.h = (uint16_t)(high - low);
        row.window.top = (int8_t)(low - top);
        r->behind(&row, state);
    }
}

void mcusim_average(const void *record, mcusim_state *state) {
    const mcusim_mean *r = (const mcusim_mean *)record;
    mcusim_output out = {NULL, NULL, NULL, 0, r->low, r->high, 0};
    int32_t count = (int32_t)r->reduced;
    (void)state;
    for (uint32_t i = 0; i < r->outer; i++)
        for (uint32_t k = 0; k < r->inner; k++) {
            const int8_t *x = r->x + i * r->reduced * r->inner + k;
            int32_t total = 0, value;
            for (uint32_t j = 0; j < r->reduced; j++) total += x[j * r->inner];
            if (r->rounding == MCUSIM_FIXED)
                value = mcusim_multiply(total - r->x_zero * count, r->multiplier, r->shift) + r->y_zero;
            else if (r->same)
                value = r->rounding == MCUSIM_TRUNCATED ? divided(total, count)
                                                        : mcusim_nearest((float)total / (float)count);
            else
                value = mcusim_nearest((float)(total - r->x_zero * count) / (float)count * r->ratio) + r->y_zero;
            r->y[i * r->inner + k] = mcusim_clamped(&out, value);
        }
}

void mcusim_total(const void *record, mcusim_state *state) {
    const mcusim_mean *r = (const mcusim_mean *)record;
    mcusim_output out = {NULL, NULL, NULL, 0, r->low, r->high, 0};
    (void)state;
    for (uint32_t i = 0; i < r->outer; i++)
        for (uint32_t k = 0; k < r->inner; k++) {
            const int8_t *x = r->x + i * r->reduced * r->inner + k;
            int32_t total = 0, value;
            for (uint32_t j = 0; j < r->reduced; j++) total += x[j * r->inner] - r->x_zero;
            if (r->rounding == MCUSIM_FIXED)
                value = mcusim_multiply(total, r->multiplier, r->shift);
            else
                value = mcusim_nearest((float)total * r->ratio);
            r->y[i * r->inner + k] = mcusim_clamped(&out, value + r->y_zero);
        }
}

void mcusim_extreme(const void *record, mcusim_state *state) {
    const mcusim_mean *r = (const mcusim_mean *)record;
    mcusim_output out = {NULL, NULL, NULL, 0, r->low, r->high, 0};
    (void)state;
    for (uint32_t i = 0; i < r->outer; i++)
        for (uint32_t k = 0; k < r->inner; k++) {
            const int8_t *x = r->x + i * r->reduced * r->inner + k;
            int32_t found = *x;
            for (uint32_t j = 1; j < r->reduced; j++) {
                int32_t v = x[j * r->inner];
                found = (r->same ? v < found : v > found) ? v : found;
            }
            r->y[i * r->inner + k] = mcusim_clamped(&out, found);
        }
}

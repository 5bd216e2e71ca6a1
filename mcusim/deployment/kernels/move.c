/* Ops that move elements: crops, pads, joins, transposes, saved channels, other grids. */
#include "arithmetic.h"

void mcusim_nothing(const void *record, mcusim_state *state) {
    (void)record;
    (void)state;
}

static void copy_block(const mcusim_copy *r) {
    int32_t size = r->bytes;
    for (int i = 0; i < r->dims[0]; i++)
        for (int j = 0; j < r->dims[1]; j++)
            for (int k = 0; k < r->dims[2]; k++) {
                const uint8_t *x = r->x + size * (i * r->x_stride[0] + j * r->x_stride[1] + k * r->x_stride[2]);
                uint8_t *y = r->y + size * (i * r->y_stride[0] + j * r->y_stride[1] + k * r->y_stride[2]);
                for (int l = 0; l < r->dims[3]; l++) {
                    for (int32_t b = 0; b < size; b++)
                        y[b] = r->table ? (uint8_t)r->table[(int8_t)x[b] + 128] : x[b];
                    x += size * r->x_stride[3];
                    y += size * r->y_stride[3];
                }
            }
}

void mcusim_move(const void *record, mcusim_state *state) {
    const mcusim_copies *r = (const mcusim_copies *)record;
    (void)state;
    if (r->fill)
        for (uint32_t i = 0; i < r->fill_bytes; i++) r->fill[i] = r->fill_value[i & 3u];
    for (uint32_t i = 0; i < r->count; i++) copy_block(&r->copies[i]);
}

/* What the next input finds. A step that is repeated to find scales of errors has to find the same again. */
void mcusim_keep_state(const void *record, mcusim_state *state) {
    if (state->updating) mcusim_move(record, state);
}

static void keep(const mcusim_keeper *r, const mcusim_pattern *pattern, uint64_t iteration) {
    uint32_t size = r->bytes, phase = pattern ? mcusim_phase(pattern, iteration) : 0;
    uint32_t learning = mcusim_learning(r->channels, r->count);
    const uint8_t *x = r->x;
    uint8_t *y = r->y;
    for (uint32_t p = 0; p < r->pixels; p++, x += size * r->of) {
        if (pattern && !mcusim_kept(pattern, phase, p)) continue;
        for (uint32_t s = 0; s < learning; s++) {
            const uint8_t *from = x + size * (uint16_t)r->channels[s];
            for (uint32_t b = 0; b < size; b++) *y++ = from[b];
        }
        y += size * (r->count - learning);
    }
}

void mcusim_keep(const void *record, mcusim_state *state) {
    keep((const mcusim_keeper *)record, NULL, state->iteration);
}

void mcusim_keep_pixels(const void *record, mcusim_state *state) {
    const mcusim_pixel_keeper *r = (const mcusim_pixel_keeper *)record;
    keep(&r->keeper, r->pattern, state->iteration);
}

void mcusim_resize_nearest(const void *record, mcusim_state *state) {
    const mcusim_resize *r = (const mcusim_resize *)record;
    uint32_t size = (uint32_t)r->channels * r->bytes;
    uint8_t *y = (uint8_t *)r->y;
    (void)state;
    for (int i = 0; i < r->oh; i++)
        for (int j = 0; j < r->ow; j++) {
            int at = (r->rows[i] - r->top) * r->w + r->columns[j] - r->left;
            const uint8_t *x = (const uint8_t *)r->x + size * (uint32_t)at;
            for (uint32_t b = 0; b < size; b++) *y++ = x[b];
        }
}

/* TFLite's int8 kernel: the four neighbours in units of 2^-20, rounded half away from zero. */
void mcusim_resize_bilinear(const void *record, mcusim_state *state) {
    const mcusim_resize *r = (const mcusim_resize *)record;
    const int8_t *x = (const int8_t *)r->x;
    int8_t *y = (int8_t *)r->y;
    mcusim_output out = {NULL, NULL, NULL, 0, r->low, r->high, 0};
    (void)state;
    for (int i = 0; i < r->oh; i++)
        for (int j = 0; j < r->ow; j++)
            for (int c = 0; c < r->channels; c++) {
                int32_t total = 0;
                for (int a = 0; a < 2; a++)
                    for (int b = 0; b < 2; b++) {
                        int row = a * r->all_rows + i, column = b * r->all_columns + j;
                        int at = (r->rows[row] - r->top) * r->w + r->columns[column] - r->left;
                        total += x[at * r->channels + c] * r->down[row] * r->across[column];
                    }
                int32_t size = ((total < 0 ? -total : total) + (1 << 19)) >> 20;
                *y++ = mcusim_clamped(&out, total < 0 ? -size : size);
            }
}

static int larger(const mcusim_argmax *r, uint32_t a, uint32_t b) {
    if (r->type == MCUSIM_FLOAT32) return ((const float *)r->x)[a] > ((const float *)r->x)[b];
    if (r->type == MCUSIM_INT32) return ((const int32_t *)r->x)[a] > ((const int32_t *)r->x)[b];
    return ((const int8_t *)r->x)[a] > ((const int8_t *)r->x)[b];
}

void mcusim_arg_max(const void *record, mcusim_state *state) {
    const mcusim_argmax *r = (const mcusim_argmax *)record;
    uint32_t words = r->bytes / 4u;
    (void)state;
    for (uint32_t i = 0; i < r->outer; i++)
        for (uint32_t k = 0; k < r->inner; k++) {
            uint32_t first = i * r->reduced * r->inner + k, best = 0;
            for (uint32_t j = 1; j < r->reduced; j++)
                if (larger(r, first + j * r->inner, first + best * r->inner)) best = j;
            uint32_t *y = (uint32_t *)r->y + words * (i * r->inner + k);
            y[0] = best;
            if (words == 2) y[1] = 0; /* little-endian int64 */
        }
}

/* Products of matrices, or of two stacks of them, by strides: neither is copied to be read the other way round. */
#include "arithmetic.h"

static int32_t matrix_dot(const mcusim_product *r, const int8_t *a, const int8_t *b) {
    int32_t acc = 0, za = r->a_zero, zb = r->b_zero;
    for (int k = 0; k < r->inner; k++, a += r->a_inner, b += r->b_inner) acc += (*a - za) * (*b - zb);
    return acc;
}

void mcusim_matrices(const void *record, mcusim_state *state) {
    const mcusim_product *r = (const mcusim_product *)record;
    mcusim_writer bits = {r->mask, 0, 0};
    mcusim_output out = r->output;
    int8_t *y = r->y;
    uint32_t i[4];
    (void)state;
    out.multiplier = &r->multiplier, out.shift = &r->shift, out.factor = &r->factor;
    for (i[0] = 0; i[0] < r->dims[0]; i[0]++)
        for (i[1] = 0; i[1] < r->dims[1]; i[1]++)
            for (i[2] = 0; i[2] < r->dims[2]; i[2]++)
                for (i[3] = 0; i[3] < r->dims[3]; i[3]++, y++) {
                    uint32_t a = 0, b = 0;
                    for (int d = 0; d < 4; d++) {
                        a += i[d] * r->a_stride[d];
                        b += i[d] * r->b_stride[d];
                    }
                    int32_t acc = matrix_dot(r, r->a + a, r->b + b);
                    mcusim_bit(&bits, mcusim_outputs(&out, &acc, 1, 0, 0, y, 1));
                }
    mcusim_bits_end(&bits);
}

/* Training and inference of int8 and int16 networks in a fixed piece of memory. C99, C++-safe.
 *
 * A network is data: one table of {kernel, record} for a training step, constants for flash, and one
 * arena of SRAM in which every tensor has its place. Nothing here allocates, nothing calls a library. */
#ifndef MCUSIM_H
#define MCUSIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Class of an example; of several outputs that learn, one number each. Unused where the target is a tensor. */
typedef union {
    uint32_t number;
    const uint32_t *each;
} mcusim_label;

/* What changes from step to step beside the arena. */
typedef struct {
    uint64_t iteration;     /* steps done */
    mcusim_label label;
    uint32_t stage;         /* which selection is in force */
    float loss;             /* of the last step */
    uint32_t saturated;     /* elements of integer error tensors that did not fit, all steps */
    uint8_t updating;       /* 0: gradients are computed and nothing is changed */
    uint8_t rescaled;       /* scales of error tensors changed in the last step */
    uint8_t replay;         /* what becomes of the example: MCUSIM_LEAVE, MCUSIM_KEEP, MCUSIM_AGAIN */
    uint8_t unkept;         /* flash failed: an example that was to be kept is not there */
    const float *rates;     /* learning rates of this step, one a group of parameters */
} mcusim_state;

enum { MCUSIM_LEAVE, MCUSIM_KEEP, MCUSIM_AGAIN };

typedef void mcusim_kernel(const void *record, mcusim_state *state);

typedef struct {
    mcusim_kernel *run;
    const void *record;
} mcusim_op;

/* A piece of the arena that begins with something: constants (from), or zeros (from is NULL). */
typedef struct {
    void *to;
    const void *from;
    uint32_t bytes;
} mcusim_start;

/* A learned tensor: what a checkpoint holds. */
typedef struct {
    void *data;             /* NULL: of a weight in flash, of which only the channels that learn are in SRAM */
    uint32_t bytes;
} mcusim_part;

/* Selected input channels of one layer, and how they are drawn anew. */
typedef struct {
    int16_t *channels;
    uint16_t count, of;     /* how many of how many */
    uint16_t position;      /* of the layer among those that are drawn for */
} mcusim_drawn;

/* One of several outputs that learn. */
typedef struct {
    const void *logits;
    uint32_t count;
    float scale;
    int32_t zero;
    uint8_t type;           /* MCUSIM_INT8, MCUSIM_INT16, MCUSIM_INT32, MCUSIM_FLOAT32 */
    void *target;           /* NULL where a class number is the target */
    uint32_t target_bytes;
} mcusim_goal;

/* Flash that keeps two copies of what was learned: the port supplies these three (see port/). Each returns
 * 0 if it worked. Addresses are offsets from the beginning of the checkpoint area. */
typedef struct {
    int (*read)(uint32_t offset, void *to, uint32_t bytes);
    int (*erase)(uint32_t offset, uint32_t bytes);
    int (*program)(uint32_t offset, const void *from, uint32_t bytes);
} mcusim_flash;

/* Changes with the records and with what a copy in flash means. */
#define MCUSIM_FORMAT 5u

struct mcusim_network;
typedef void mcusim_taker(void *to, const uint8_t *data, uint32_t bytes);

/* Input channels of a weight that learn, in SRAM: of its values, or of what is kept beside them. */
typedef struct {
    void *columns;          /* [count][taps][outputs of a group] */
    const int16_t *channels; /* which they are, ascending; -1 behind the last where fewer learn */
    uint32_t at;            /* of the whole in a copy in flash */
    uint16_t count, inputs, outputs, taps, groups;
    uint8_t depthwise, bytes; /* bytes: of an element */
} mcusim_columns;

/* What changes of weights that live in flash. */
typedef struct {
    const mcusim_flash *flash; /* NULL: nothing is written back, and what learns does not change */
    const uint8_t *mapped;  /* its area as memory; NULL: as for flash, and it is not loaded */
    const uint8_t *copy;    /* what is learned, as the copy in force holds it */
    uint8_t failed;         /* the last stage was not written back: its channels go on learning */
} mcusim_residence;

/* Weights that learn and live in flash. */
typedef struct {
    const mcusim_columns *columns;
    uint16_t columns_count;
    const uint8_t *first;   /* what is learned, in the copy that came with the model */
    mcusim_residence *now;
    int (*write_back)(const struct mcusim_network *network);
    void (*read)(const struct mcusim_network *network);
    void (*give)(const struct mcusim_network *network, uint32_t number, mcusim_taker *take, void *to);
} mcusim_resident;

typedef struct mcusim_network {
    uint32_t format;                        /* MCUSIM_FORMAT of the kernels that it was written for */
    const char *name;
    const char *version;                    /* of the program that wrote the model, and hash of the model */
    uint32_t hash;
    uint32_t identity;                      /* of the network and what of it learns: whose copy one in flash is */
    uint8_t *arena;
    uint32_t arena_bytes;
    const mcusim_op *ops;
    const char *const *names;               /* of the ops; NULL if they were left out */
    uint16_t ops_count, loss_op;            /* ops before loss_op are the forward pass */
    uint16_t replay_op;                     /* keeps examples, and learns them again from there on; 0: there is none */
    uint16_t probe_op, probe_end;           /* but those: a pass with moved parameters; 0: there is none */
    void *input;                            /* the first, where there are several */
    uint32_t input_bytes;
    const mcusim_part *inputs;              /* several; NULL where there is one */
    uint16_t inputs_count;
    void *target;                           /* NULL where a class number is the target */
    uint32_t target_bytes;
    const mcusim_goal *goals;               /* several; NULL where one output learns */
    uint16_t goals_count;
    const mcusim_start *states;             /* what is kept from one input to the next, and what it begins with */
    uint16_t states_count;
    const void *logits;                     /* of the first output */
    uint32_t logits_count;
    uint8_t logits_type;                    /* MCUSIM_INT8, MCUSIM_INT16, MCUSIM_INT32, MCUSIM_FLOAT32 */
    float logits_scale;
    int32_t logits_zero;
    const float *rates;                     /* learning rates at factor 1 */
    uint16_t rates_count;
    const mcusim_start *starts;
    uint16_t starts_count;
    const mcusim_part *learned;
    uint16_t learned_count;
    uint32_t learned_bytes;
    const mcusim_drawn *drawn;
    uint16_t drawn_count;
    uint32_t stage_steps;                   /* steps of a stage; 0: one stage for ever */
    uint64_t seed;
    uint16_t error_scales;                  /* integer error tensors */
    uint32_t area_bytes, copy_bytes;        /* of the checkpoint area, and of the first of its two copies */
    uint32_t erase_bytes, second_erase_bytes, program_bytes; /* units of the flash: of either copy */
    const mcusim_resident *resident;        /* NULL: what learns lies whole in SRAM */
    mcusim_state *state;
} mcusim_network;

enum { MCUSIM_INT8, MCUSIM_INT32, MCUSIM_FLOAT32, MCUSIM_INT16 };

typedef struct {
    uint32_t category;      /* number of the largest output */
    float score;            /* its softmax probability */
} mcusim_answer;

/* Put every learned tensor, and what belongs to it, at its beginning: that of the copy that came with the model. */
void mcusim_init(const mcusim_network *network);

/* Run the forward pass on an input of input_bytes bytes. */
mcusim_answer mcusim_infer(const mcusim_network *network, const void *input);

/* Learn from one example with a class number; return the loss. */
float mcusim_train(const mcusim_network *network, const void *input, uint32_t label);

/* Learn from one example with a target of target_bytes bytes; return the loss. */
float mcusim_train_target(const mcusim_network *network, const void *input, const void *target);

/* The same of a network with several inputs, or several outputs that learn: a pointer to each input, a number for each
 * output (NULL where all have targets), and a pointer to each target (NULL where none has). What is NULL in one of
 * these lists is in its place already. */
mcusim_answer mcusim_infer_several(const mcusim_network *network, const void *const *inputs);
float mcusim_train_several(const mcusim_network *network, const void *const *inputs, const uint32_t *labels,
                           const void *const *targets);
void mcusim_calibrate_several(const mcusim_network *network, const void *const *inputs, const uint32_t *labels,
                              const void *const *targets);

/* What one of several outputs that learn said of the input that was inferred last. */
mcusim_answer mcusim_answer_of(const mcusim_network *network, uint32_t goal);

/* Learn again one of the examples that were kept, drawn as the simulator draws it; return the loss, or -1 where none is
 * kept yet. Call it as often as the plan replays before each mcusim_train, which keeps its example, or does not, as the
 * policy says. */
float mcusim_train_again(const mcusim_network *network);

/* Keep examples in this flash, whose addresses are offsets from the beginning of the buffer's area; nothing is kept
 * before. The buffer is empty then, as after mcusim_init: where each example lies is known in SRAM alone. Blocks that
 * are not erased are. 0 if it worked. */
int mcusim_keep_in(const mcusim_network *network, const mcusim_flash *flash);

/* Begin a sequence: what is kept from one input to the next takes its first value, as after mcusim_init. To learn from
 * a sequence, begin it, infer all inputs but the last, and train with that one. */
void mcusim_begin(const mcusim_network *network);

/* Repeat a step without learning until the scales of integer error tensors are known. Of a sequence: begin it, infer
 * all inputs but the last, and repeat that one; then begin it again to learn from it. */
void mcusim_calibrate(const mcusim_network *network, const void *input, uint32_t label);

/* Learn with these rates (rates_count of them) from the next step on; they are not copied. */
void mcusim_set_rates(const mcusim_network *network, const float *rates);

/* Draw what learns in a stage, as the simulator does; train() calls it when a stage begins. 0 if it worked: where
 * weights that learn live in flash, what was learned is written back before. If that fails, the same channels go on
 * learning until the next stage. */
int mcusim_stage(const mcusim_network *network, uint32_t stage);

/* Where weights that learn live in flash: to which what was learned is written back when a stage ends, and the address
 * at which its area is read as memory. To be called before mcusim_save and mcusim_load. */
void mcusim_write_to(const mcusim_network *network, const mcusim_flash *flash, const uint8_t *mapped);

/* Write what was learned to flash: the copy before it stays whole until the new one is. 0 if it worked. */
int mcusim_save(const mcusim_network *network, const mcusim_flash *flash);

/* Read the newest whole copy; 0 if there was one, else nothing has changed. */
int mcusim_load(const mcusim_network *network, const mcusim_flash *flash);

enum { MCUSIM_OK, MCUSIM_OTHER_KERNELS, MCUSIM_NO_COPY, MCUSIM_OTHER_NETWORK };

/* MCUSIM_OK if the kernels are those that the model was written for, and flash holds a whole copy: magic number,
 * length and checksum are right. MCUSIM_OTHER_NETWORK: there is one, of something else that learned. */
int mcusim_check(const mcusim_network *network, const mcusim_flash *flash);

/* Give what was learned to write(), piece by piece, in the form of a copy in flash: to send it to a host, where
 * mcusim firmware --read makes a network of it. 0 if every write() returned 0. */
int mcusim_send(const mcusim_network *network, int (*write)(const void *data, uint32_t bytes));

/* What an op has to have written, and its checksum. */
typedef struct {
    const void *data;
    uint32_t bytes, crc;
    uint32_t op;
} mcusim_sum;

/* A piece of a made-up example: an input or a target. */
typedef struct {
    void *data;
    uint32_t bytes;
    uint16_t values;        /* how many different ones an integer has; 256 and more: all */
    uint8_t type;           /* MCUSIM_INT8 or MCUSIM_FLOAT32 */
} mcusim_made_up;

/* What comes of one step on a made-up example, op by op; see model/. */
typedef struct {
    const mcusim_sum *constants;            /* of flash; checked first */
    const mcusim_sum *sums;
    const mcusim_made_up *example;
    uint16_t constants_count, sums_count, example_count;
} mcusim_expected;

/* Learn one step on a made-up example and compare what every op writes with what the simulator computed; say PASS,
 * or the first op that differs, through print (printf will do). 0 if all is the same. Begins from the network as it
 * came and leaves it so: load what was learned afterwards. */
int mcusim_selftest(const mcusim_network *network, const mcusim_expected *expected,
                    int (*print)(const char *format, ...));

/* CRC-32 (IEEE 802.3, as zlib's); begin with crc 0. */
uint32_t mcusim_crc(uint32_t crc, const void *data, uint32_t bytes);

/* Called after every op where the program is compiled with MCUSIM_AFTER_OP, to measure or to compare. */
void mcusim_after_op(const mcusim_network *network, uint32_t op);

#ifdef __cplusplus
}
#endif
#endif

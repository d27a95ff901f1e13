/* One step of one neuron and of its SAM trace, in neurosam's integers. lif.c is a skeleton to replace by your own. */
#ifndef NEUROSAM_LIF_H
#define NEUROSAM_LIF_H
#include <stdint.h>

enum reset { ZERO, SUBTRACT, VALUE, NONE, RELATIVE };
enum mode { STRICT, INCLUSIVE, OFFICIAL };

/* Options of a population. */
struct options {
    enum reset reset;
    int at;         /* fires at the threshold, not only above it */
    int delayed;    /* a reset acts in the next step */
    int corrected;  /* what a delayed reset lacks is made up for at once */
    int adapted;    /* "subtract" subtracts the threshold as it has risen */
    int bounded;    /* the membrane has a lower bound */
    int adaptive;   /* the threshold rises with spikes */
    int refractory; /* steps */
    int max_spikes; /* in a step */
    int tables;     /* gain and offset for each step and channel */
    int gain_shift;
};

/* Parameters of a neuron; membranes, thresholds and the like carry six fractional bits. */
struct parameters {
    int32_t factor_u, factor_v, bias, threshold, amount, lower_bound, factor_h, threshold_step, factor_r;
};

/* What a neuron holds between two steps. */
struct state {
    int32_t u, v, wait, h, r;
};

/* A population's SAM trace: K[n] for n steps since the last spike goes on with its last entry, which is 0. */
struct sam {
    enum mode mode;
    int shift;
    int32_t impulse;
    int entries;
    const int32_t *kernel;
};

struct trace {
    int32_t trace, last, fired;
};

/* Advance a neuron by the sum `a` of its weighted events; returns how often it fires. */
int32_t lif_step(struct state *, const struct parameters *, const struct options *, int32_t a, int32_t gain,
                 int32_t offset);

/* The score of a neuron that fires s times in own step t. */
int32_t sam_step(struct trace *, const struct sam *, int32_t s, int32_t t);

#endif

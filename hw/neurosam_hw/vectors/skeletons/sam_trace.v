// The SAM trace of one neuron, touched only where it spikes: a skeleton, as lif.v is one.
//
//     decayed = (trace * kernel) >> SHIFT      kernel = K[steps since its last spike], from a table that ends in 0
//     score   = s * decayed                    mode strict; the others add what is new (and the silent steps)
//     trace   = decayed + s * IMPULSE

`include "population.vh"

module sam_trace (
    input  wire signed [31:0] s,                // how often the neuron fires
    input  wire signed [31:0] t,                // own step
    input  wire signed [31:0] kernel, kernel_t, // K[t - last] and K[t]; K goes on with its last entry
    input  wire signed [31:0] trace, last, fired,
    output reg  signed [31:0] next_trace, next_last, next_fired,
    output reg  signed [31:0] score
);
    localparam STRICT = 0, INCLUSIVE = 1, OFFICIAL = 2;
    reg signed [63:0] decayed, left, silent;

    always @* begin
        next_trace = trace;
        next_last = last;
        next_fired = fired;
        score = 0;
        decayed = 0;
        left = 0;
        silent = 0;
        if (s > 0) begin
            decayed = trace * kernel;
            decayed = decayed >>> `SAM_SHIFT;
            left = decayed + s * `SAM_IMPULSE;
            next_trace = left;
            next_last = t;
            next_fired = fired + 1;
            silent = (t + 1 - next_fired) * `SAM_IMPULSE;
            silent = silent * kernel_t;
            silent = silent >>> `SAM_SHIFT;
            score = s * (`SAM_MODE == STRICT ? decayed : `SAM_MODE == INCLUSIVE ? left : left + silent);
        end
    end
endmodule

// Testbench of one population: reads the files of its folder, drives lif.v step by step, and stops at the first mismatch.
//
//     iverilog -g2012 -I p1 -o p1/tb.vvp tb.v lif.v sam_trace.v && vvp -n p1/tb.vvp +dir=p1
//
// The exit status is 1 at a mismatch. Values lie in the order step, sample, neuron; a map's in step, sample, pixel.

`timescale 1ns / 1ns
`include "population.vh"

module tb;
    localparam VALUES = `STEPS * `SAMPLES * `NEURONS;
    localparam STATES = `SAMPLES * `NEURONS;
    localparam PIXELS = `NEURONS / `CHANNELS;
    localparam ROWS = `TABLES ? `STEPS * `CHANNELS : 1;
    localparam MAPS = `SAM ? `STEPS * `SAMPLES * PIXELS : 1;

    reg [8*256:1] dir;
    reg signed [31:0] a [0:VALUES-1];
    reg signed [31:0] golden_u [0:VALUES-1];
    reg signed [31:0] golden_v [0:VALUES-1];
    reg [`SPIKE_BITS-1:0] golden_s [0:VALUES-1];
    reg signed [31:0] golden_map [0:MAPS-1];
    reg signed [31:0] factor_u [0:`NEURONS-1];
    reg signed [31:0] factor_v [0:`NEURONS-1];
    reg signed [31:0] bias [0:`NEURONS-1];
    reg signed [31:0] threshold [0:`NEURONS-1];
    reg signed [31:0] amount [0:`NEURONS-1];
    reg signed [31:0] lower_bound [0:`NEURONS-1];
    reg signed [31:0] factor_h [0:`NEURONS-1];
    reg signed [31:0] threshold_step [0:`NEURONS-1];
    reg signed [31:0] factor_r [0:`NEURONS-1];
    reg signed [31:0] initial_u [0:`NEURONS-1];
    reg signed [31:0] initial_v [0:`NEURONS-1];
    reg signed [31:0] gain [0:ROWS-1];
    reg signed [31:0] offset [0:ROWS-1];
    reg signed [31:0] kernel [0:`SAM_TABLE-1];

    // the state, a word for each neuron of each sample
    reg signed [31:0] u [0:STATES-1];
    reg signed [31:0] v [0:STATES-1];
    reg signed [31:0] wait_ [0:STATES-1];
    reg signed [31:0] h [0:STATES-1];
    reg signed [31:0] r [0:STATES-1];
    reg signed [31:0] trace [0:STATES-1];
    reg signed [31:0] last [0:STATES-1];
    reg signed [31:0] fired [0:STATES-1];
    reg signed [31:0] map [0:PIXELS-1];

    integer t, b, k, n, row, at, age, compared;
    wire signed [31:0] next_u, next_v, next_wait, next_h, next_r, s;
    wire signed [31:0] next_trace, next_last, next_fired, score;
    reg signed [31:0] kernel_age, kernel_t;

    lif dut (
        .a(a[at]), .gain(gain[row]), .offset(offset[row]),
        .factor_u(factor_u[k]), .factor_v(factor_v[k]), .bias(bias[k]), .threshold(threshold[k]), .amount(amount[k]),
        .lower_bound(lower_bound[k]), .factor_h(factor_h[k]), .threshold_step(threshold_step[k]), .factor_r(factor_r[k]),
        .u(u[n]), .v(v[n]), .wait_(wait_[n]), .h(h[n]), .r(r[n]),
        .next_u(next_u), .next_v(next_v), .next_wait(next_wait), .next_h(next_h), .next_r(next_r), .s(s)
    );

    sam_trace sam (
        .s(s), .t(t), .kernel(kernel_age), .kernel_t(kernel_t),
        .trace(trace[n]), .last(last[n]), .fired(fired[n]),
        .next_trace(next_trace), .next_last(next_last), .next_fired(next_fired), .score(score)
    );

    task compare(input [8*3:1] variable, input integer index, input signed [31:0] got, input signed [31:0] expected);
        if (got !== expected || ^got === 1'bx) begin  // x: a file is missing or too short
            $display("mismatch: step %0d, sample %0d, population %0s, neuron %0d, variable %0s: got %0d, expected %0d",
                     t, b, `NAME, index, variable, got, expected);
            $fatal(0);
            #1;  // nothing after it
        end else
            compared = compared + 1;
    endtask

    initial begin
        if (!$value$plusargs("dir=%s", dir)) dir = ".";
        $readmemh({dir, "/a.hex"}, a);
        $readmemh({dir, "/u.hex"}, golden_u);
        $readmemh({dir, "/v.hex"}, golden_v);
        $readmemh({dir, "/s.hex"}, golden_s);
        $readmemh({dir, "/factor_u.hex"}, factor_u);
        $readmemh({dir, "/factor_v.hex"}, factor_v);
        $readmemh({dir, "/bias.hex"}, bias);
        $readmemh({dir, "/threshold.hex"}, threshold);
        $readmemh({dir, "/amount.hex"}, amount);
        $readmemh({dir, "/lower_bound.hex"}, lower_bound);
        $readmemh({dir, "/factor_h.hex"}, factor_h);
        $readmemh({dir, "/threshold_step.hex"}, threshold_step);
        $readmemh({dir, "/factor_r.hex"}, factor_r);
        $readmemh({dir, "/initial_u.hex"}, initial_u);
        $readmemh({dir, "/initial_v.hex"}, initial_v);
        if (`TABLES) begin
            $readmemh({dir, "/gain.hex"}, gain);
            $readmemh({dir, "/offset.hex"}, offset);
        end
        if (`SAM) begin
            $readmemh({dir, "/sam.hex"}, golden_map);
            $readmemh({dir, "/kernel.hex"}, kernel);
        end
        compared = 0;
        for (n = 0; n < STATES; n = n + 1) begin
            u[n] = initial_u[n % `NEURONS];
            v[n] = initial_v[n % `NEURONS];
            wait_[n] = 0;
            h[n] = 0;
            r[n] = 0;
            trace[n] = 0;
            last[n] = 0;
            fired[n] = 0;
        end
        for (t = 0; t < `STEPS; t = t + 1)
            for (b = 0; b < `SAMPLES; b = b + 1) begin
                for (k = 0; k < PIXELS; k = k + 1) map[k] = 0;
                for (k = 0; k < `NEURONS; k = k + 1) begin
                    n = b * `NEURONS + k;
                    at = t * STATES + n;
                    row = `TABLES ? t * `CHANNELS + k / PIXELS : 0;
                    age = t - last[n];
                    kernel_age = kernel[age < `SAM_TABLE ? age : `SAM_TABLE - 1];
                    kernel_t = kernel[t < `SAM_TABLE ? t : `SAM_TABLE - 1];
                    #1;
                    compare("u", k, next_u, golden_u[at]);
                    compare("s", k, s, golden_s[at]);
                    compare("v", k, next_v, golden_v[at]);
                    u[n] = next_u;
                    v[n] = next_v;
                    wait_[n] = next_wait;
                    h[n] = next_h;
                    r[n] = next_r;
                    if (`SAM) begin
                        map[k % PIXELS] = map[k % PIXELS] + score;
                        trace[n] = next_trace;
                        last[n] = next_last;
                        fired[n] = next_fired;
                    end
                end
                if (`SAM)
                    for (k = 0; k < PIXELS; k = k + 1)
                        compare("sam", k, map[k], golden_map[(t * `SAMPLES + b) * PIXELS + k]);
            end
        $display("population %0s: 0 mismatches in %0d values", `NAME, compared);
        $finish;
    end
endmodule

;;; guile-alloc.scm - allocation-heavy programs for a Scheme that is not rebuilt.
;;;
;;; Compiled and run by the demo on Debian's own Guile, once on each collector. Six small programs with data of
;;; different shapes: pairs, strings, hash tables and vectors, closures and streams, records in a balanced tree, and the
;;; syntax trees of an interpreter. Prints one line for each; the lines must be the same on every collector.

(use-modules (srfi srfi-1) (srfi srfi-9))

(define (report name value)
  (display name)
  (display " ")
  (write value)
  (newline))

;; A random sequence of our own, so that the output does not depend on Guile's.
(define seed 42)
(define (next-random! n)
  (set! seed (modulo (+ (* seed 1103515245) 12345) 2147483648))
  (modulo (quotient seed 1024) n))

;;; Pairs: differentiate an expression again and again, and simplify.

(define (add a b)
  (cond ((eqv? a 0) b)
        ((eqv? b 0) a)
        ((and (number? a) (number? b)) (+ a b))
        (else (list '+ a b))))

(define (mul a b)
  (cond ((or (eqv? a 0) (eqv? b 0)) 0)
        ((eqv? a 1) b)
        ((eqv? b 1) a)
        ((and (number? a) (number? b)) (modulo (* a b) 1000003))
        (else (list '* a b))))

(define (derive e)
  (cond ((number? e) 0)
        ((symbol? e) (if (eq? e 'x) 1 0))
        ((eq? (car e) '+) (add (derive (cadr e)) (derive (caddr e))))
        ((eq? (car e) '*)
         (add (mul (derive (cadr e)) (caddr e))
              (mul (cadr e) (derive (caddr e)))))
        (else (list 'd e))))

(define (size e)
  (if (pair? e) (+ 1 (size (cadr e)) (size (caddr e))) 1))

(define (symbolic rounds)
  (define start '(* (+ x 3) (* (+ (* x x) y) (+ x (* 5 x)))))
  (let loop ((i 0) (total 0))
    (if (= i rounds)
        total
        (loop (+ i 1) (+ total (size (derive (derive (derive start)))))))))

;;; Lists: sort, reverse, append, map and filter.

(define (merge-lists a b)
  (let loop ((a a) (b b) (out '()))
    (cond ((null? a) (append-reverse out b))
          ((null? b) (append-reverse out a))
          ((< (car b) (car a)) (loop a (cdr b) (cons (car b) out)))
          (else (loop (cdr a) b (cons (car a) out))))))

(define (merge-sort l)
  (let ((n (length l)))
    (if (< n 2)
        l
        (let ((half (quotient n 2)))
          (merge-lists (merge-sort (take l half)) (merge-sort (drop l half)))))))

(define (lists n rounds)
  (let loop ((i 0) (sum 0))
    (if (= i rounds)
        sum
        (let* ((l (list-tabulate n (lambda (k) (next-random! 1000000))))
               (sorted (merge-sort l))
               (odd (filter odd? (map (lambda (x) (+ x 1)) sorted))))
          (loop (+ i 1) (modulo (+ sum (fold + 0 (reverse odd))) 1000000007))))))

;;; Strings: build, split and join text; count words in a hash table.

(define (make-word)
  (string-append "w" (number->string (next-random! 5000) 36)))

(define (strings lines)
  (let ((counts (make-hash-table)))
    (let loop ((i 0))
      (when (< i lines)
        (let ((line (string-join (list-tabulate 12 (lambda (k) (make-word))) " ")))
          (for-each (lambda (word)
                      (hash-set! counts word (+ 1 (hash-ref counts word 0))))
                    (string-split (string-upcase line) #\space)))
        (loop (+ i 1))))
    (hash-fold (lambda (word n sum)
                 (+ sum (* n (string-length word))))
               0 counts)))

;;; Closures: the primes by an unbounded stream of delayed filters.

(define (integers n) (cons n (lambda () (integers (+ n 1)))))
(define (without p s)
  (if (zero? (modulo (car s) p))
      (without p ((cdr s)))
      (cons (car s) (lambda () (without p ((cdr s)))))))
(define (sieve s) (cons (car s) (lambda () (sieve (without (car s) ((cdr s)))))))
(define (primes n)
  (let loop ((s (sieve (integers 2))) (i 0) (sum 0))
    (if (= i n) sum (loop ((cdr s)) (+ i 1) (+ sum (car s))))))

;;; Records: a persistent treap; every insertion copies its path, old versions die.

(define-record-type <node>
  (make-node key priority left right)
  node?
  (key node-key)
  (priority node-priority)
  (left node-left)
  (right node-right))

(define (insert t key priority)
  (cond ((not t) (make-node key priority #f #f))
        ((= key (node-key t)) t)
        ((< key (node-key t))
         (let ((l (insert (node-left t) key priority)))
           (if (> (node-priority l) (node-priority t))
               (make-node (node-key l) (node-priority l) (node-left l)
                          (make-node (node-key t) (node-priority t) (node-right l) (node-right t)))
               (make-node (node-key t) (node-priority t) l (node-right t)))))
        (else
         (let ((r (insert (node-right t) key priority)))
           (if (> (node-priority r) (node-priority t))
               (make-node (node-key r) (node-priority r)
                          (make-node (node-key t) (node-priority t) (node-left t) (node-left r))
                          (node-right r))
               (make-node (node-key t) (node-priority t) (node-left t) r))))))

(define (sum-keys t)
  (if t (+ (node-key t) (sum-keys (node-left t)) (sum-keys (node-right t))) 0))

(define (treap n)
  (let loop ((i 0) (t #f))
    (if (= i n)
        (sum-keys t)
        (loop (+ i 1) (insert t (next-random! 1000000) (next-random! 1000000000))))))

;;; Interpreter: programs as quoted data, environments as association lists.

(define (evaluate e env)
  (cond ((symbol? e) (cdr (assq e env)))
        ((not (pair? e)) e)
        (else
         (case (car e)
           ((lambda) (lambda args (evaluate (caddr e) (append (map cons (cadr e) args) env))))
           ((if) (evaluate (if (evaluate (cadr e) env) (caddr e) (cadddr e)) env))
           (else
            (let ((f (evaluate (car e) env)))
              (apply f (map (lambda (a) (evaluate a env)) (cdr e)))))))))

(define fibonacci
  '((lambda (f n) (f f n))
    (lambda (self n) (if (less n 2) n (plus (self self (minus n 1)) (self self (minus n 2)))))
    input))

(define (interpreter n)
  (evaluate fibonacci (list (cons 'less <) (cons 'plus +) (cons 'minus -) (cons 'input n))))

;;; Vectors and a large live structure that stays while the rest runs.

(define live
  (let ((v (make-vector 200000 #f)))
    (let loop ((i 0))
      (when (< i 200000)
        (vector-set! v i (list i (number->string i) (vector i (+ i 1))))
        (loop (+ i 1))))
    v))

(report "symbolic" (symbolic 6000))
(report "lists" (lists 50000 20))
(report "strings" (strings 45000))
(report "primes" (primes 1200))
(report "treap" (treap 180000))
(report "interpreter" (interpreter 24))
(report "live" (let loop ((i 0) (sum 0))
                 (if (= i 200000)
                     sum
                     (loop (+ i 1) (+ sum (car (vector-ref live i)) (string-length (cadr (vector-ref live i))))))))

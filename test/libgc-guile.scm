;; A program for Guile that allocates in every way that it has, and prints what must not depend on the collector.
;; Its argument says how much. Run by test-guile.sh.

(use-modules (ice-9 threads) (ice-9 match) (ice-9 regex) (srfi srfi-1) (srfi srfi-9) (srfi srfi-43)
             (rnrs bytevectors) (system base compile))

(define size (string->number (cadr (command-line))))
(define (say . things) (for-each display things) (newline))

;; Trees of pairs: many small objects, most of them soon dead.
(define (tree n) (if (zero? n) '() (cons (tree (- n 1)) (tree (- n 1)))))
(define (leaves t) (if (null? t) 1 (+ (leaves (car t)) (leaves (cdr t)))))
(define kept (tree 10))
(do ((i 0 (+ i 1))) ((= i size)) (unless (= 4096 (leaves (tree 12))) (error "a tree was damaged")))
(say "trees " (leaves kept))

;; A long list, sorted, against sums.
(define (numbers n seed)
  (let loop ((i 0) (x seed) (l '()))
    (if (= i n) l (let ((y (modulo (+ (* x 1103515245) 12345) 2147483648))) (loop (+ i 1) y (cons y l))))))
(let* ((l (numbers (* 500 size) 42)) (sorted (sort l <)))
  (say "sorted " (length sorted) " " (first sorted) " " (last sorted) " " (= (apply + l) (apply + sorted))))

;; Strings, symbols, string ports, regular expressions.
(define text
  (call-with-output-string
    (lambda (port) (do ((i 0 (+ i 1))) ((= i (* 20 size))) (format port "~a:~a " i (number->string (* i i i) 16))))))
(say "text " (string-length text) " " (string-hash text 1000003))
(say "matches " (fold-matches "[0-9]+:" text 0 (lambda (m n) (+ n 1))))
(say "symbols " (length (delete-duplicates (map (lambda (i) (string->symbol (format #f "s~a" (modulo i 50))))
                                                (iota (* 10 size))))))

;; Numbers that do not fit in words: pointer-free objects.
(define (factorial n) (if (zero? n) 1 (* n (factorial (- n 1)))))
(say "factorial " (modulo (factorial (* 10 size)) 1000000007) " " (string-length (number->string (factorial (* 5 size)))))
(say "fractions " (fold + 0 (map (lambda (i) (/ 1 (+ i 1))) (iota (* 2 size)))))
(say "reals " (fold + 0 (map (lambda (i) (sqrt (* i 0.5))) (iota (* 50 size)))))

;; Vectors, bytevectors, records, hash tables.
(define-record-type point (make-point x y) point? (x point-x set-point-x!) (y point-y))
(let ((v (make-vector (* 50 size) #f)))
  (do ((i 0 (+ i 1))) ((= i (vector-length v))) (vector-set! v i (make-point i (list i (* 2 i)))))
  (vector-for-each (lambda (i p) (set-point-x! p (cons i (point-y p)))) v)
  (say "records " (vector-fold (lambda (i s p) (+ s (apply + (point-x p)))) 0 v)))
(let ((b (make-bytevector (* 10000 size) 7)))
  (bytevector-u32-native-set! b 400 123456789)
  (say "bytes " (fold + 0 (bytevector->u8-list (bytevector-copy b)))))
(let ((h (make-hash-table)))
  (do ((i 0 (+ i 1))) ((= i (* 100 size))) (hash-set! h (number->string i) (list i)))
  (do ((i 0 (+ i 3))) ((>= i (* 100 size))) (hash-remove! h (number->string i)))
  (say "hash " (hash-count (const #t) h) " " (hash-fold (lambda (k v s) (+ s (car v))) 0 h)))

;; Weak tables and guardians: what is held is there, most of the rest goes.
(define holders (map list (iota 200)))
(define weak (make-weak-key-hash-table))
(define (fill!)
  (for-each (lambda (h) (hashq-set! weak h (car h))) holders)
  (do ((i 0 (+ i 1))) ((= i 2000)) (hashq-set! weak (list i) (make-string 10 #\x))))
(define guardian (make-guardian))
(define (guard!) (do ((i 0 (+ i 1))) ((= i 2000)) (guardian (list i i))))
(fill!)
(guard!)
(define (churn) (do ((i 0 (+ i 1))) ((= i 3)) (tree 10) (gc)))
(churn)
(say "weak " (every (lambda (h) (eqv? (hashq-ref weak h) (car h))) holders) " "
     (< 199 (hash-fold (lambda (k v n) (+ n 1)) 0 weak) 400))
(say "guardian " (let loop ((n 0) (l (guardian)))
                   (if l (if (eqv? (car l) (cadr l)) (loop (+ n 1) (guardian)) (error "damaged")) (> n 1800))))

;; Delimited continuations and exceptions.
(say "prompt " (let loop ((i 0) (s 0))
  (if (= i (* 20 size)) s
      (loop (+ i 1) (+ s (call-with-prompt 'p (lambda () (* 2 (abort-to-prompt 'p i))) (lambda (k x) (k (+ x 1)))))))))
(say "caught " (fold + 0 (map (lambda (i) (catch 'oops (lambda () (throw 'oops (list i i))) (lambda (k l) (apply + l))))
                              (iota (* 20 size)))))

;; Threads that allocate, with mutexes and futures between them.
(define total 0)
(define lock (make-mutex))
(define threads
  (map (lambda (t)
         (call-with-new-thread
           (lambda ()
             (do ((i 0 (+ i 1))) ((= i size) (list t (leaves (tree 8))))
               (let ((n (leaves (tree 9)))) (with-mutex lock (set! total (+ total n))))))))
       (iota 4)))
(say "threads " (map join-thread threads) " " (= total (* 4 512 size)))
(say "parallel " (apply + (par-map (lambda (i) (leaves (tree (modulo i 9)))) (iota 40))))

;; The compiler, which allocates like a program of its own.
(define code
  `(lambda (n) (let loop ((i 0) (l '())) (if (= i n) (apply + l) (loop (+ i 1) (cons (* i ,(length kept)) l))))))
(say "compiled " (map (lambda (i) ((compile code #:env (current-module)) (* 10 i))) (iota (quotient (+ size 3) 4))))

(say "end " (leaves kept))
